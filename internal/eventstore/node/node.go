package node

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	features "github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
)

const (
	// maxMessageSize is what is taken in one gRPC message: the largest record and room
	// for what is around it, so that one too big is refused by name.
	maxMessageSize = maxRecordSize + 1<<20
	// pingInterval and pingTimeout are the server's own keepalive, EventStoreDB's defaults.
	pingInterval = 10 * time.Second
	pingTimeout  = 10 * time.Second
	// pingMinimum is how often clients may ping. They do every 10 s, also when idle, and
	// grpc-go's default would cut them off for it after 31 s.
	pingMinimum = 5 * time.Second
	// connectTimeout is for a program that connects and doesn't say what it wants.
	connectTimeout = 10 * time.Second
	// maxHeaderList bounds the headers of a call, which are credentials and the like.
	maxHeaderList = 16 << 10
	// drainTimeout is how long Close waits for calls to end that don't end by themselves.
	drainTimeout = 2 * time.Second
)

// Node is an open event store and the server of its protocol.
type Node struct {
	config  Config
	storage storage
	writer  *writer
	server  *grpc.Server
	groups  *groups
	// closing is closed when Close begins; subscriptions end by it.
	closing chan struct{}
	close   func() error

	mu      sync.Mutex
	address string
}

// Open opens the store and makes it ready to serve. The error is ErrInUse if another
// process has the file, ErrFormat if the file is something else, ErrLog if it has lost what
// belongs to it.
func Open(config Config) (*Node, error) {
	if err := config.validate(); err != nil {
		return nil, fmt.Errorf("event store node: %w", err)
	}
	config = config.withDefaults()
	s, err := openStorage(config)
	if err != nil {
		return nil, err
	}
	n, err := newNode(config, s)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return n, nil
}

func openStorage(config Config) (storage, error) {
	if config.Path == "" {
		return newMemoryStorage(), nil
	}
	return openLogged(config.Path, config.log)
}

// newNode starts the writer of an open storage.
func newNode(config Config, s storage) (*Node, error) {
	w, err := newWriter(s, config.Logger, config.Now)
	if err != nil {
		return nil, err
	}
	n := &Node{
		config: config, storage: s, writer: w,
		server: newServer(config), closing: make(chan struct{}), address: config.AdvertisedAddress,
	}
	n.close = sync.OnceValue(n.shutDown)
	n.groups = &groups{node: n, all: map[groupKey]*group{}}
	if err := n.groups.load(); err != nil {
		return nil, err
	}
	streams.RegisterStreamsServer(n.server, streamsServer{node: n})
	persistent.RegisterPersistentSubscriptionsServer(n.server, persistentServer{node: n})
	features.RegisterServerFeaturesServer(n.server, featuresServer{})
	gossip.RegisterGossipServer(n.server, gossipServer{node: n})
	go w.run()
	if err := n.writeUsers(); err != nil {
		w.close()
		return nil, err
	}
	tail, _ := w.tail()
	config.Logger.Info("event store opened", "store_id", s.identity(), "position", tail)
	return n, nil
}

func newServer(config Config) *grpc.Server {
	a := answering{log: config.Logger}
	options := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxMessageSize),
		grpc.MaxHeaderListSize(maxHeaderList),
		grpc.ConnectionTimeout(connectTimeout),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingMinimum, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingInterval, Timeout: pingTimeout}),
		grpc.ChainUnaryInterceptor(a.unary),
		grpc.ChainStreamInterceptor(a.stream),
		grpc.WaitForHandlers(true),
	}
	if config.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(config.TLS)))
	}
	if config.Password != "" {
		g := newGuard(config.Username, config.Password)
		options = append(options, grpc.ChainUnaryInterceptor(g.unary), grpc.ChainStreamInterceptor(g.stream))
	}
	return grpc.NewServer(options...)
}

// StoreID returns the id the store was given when its file was made. Positions mean
// something only together with it.
func (n *Node) StoreID() uuid.UUID { return n.storage.identity() }

// Serve answers calls that come in on the listener, Unix or TCP, until Close, and
// returns nil then. It closes the listener. It may be called for several listeners. The
// error is ErrExposed for one that other machines can reach without TLS and password.
func (n *Node) Serve(listener net.Listener) error {
	if err := n.config.checkListener(listener); err != nil {
		return errors.Join(fmt.Errorf("serve event store on %s: %w", listener.Addr(), err), listener.Close())
	}
	if address, ok := listener.Addr().(*net.TCPAddr); ok {
		n.advertise(address)
	}
	err := n.server.Serve(listener)
	select {
	case <-n.closing:
		return nil
	default:
	}
	if err != nil {
		return fmt.Errorf("serve event store on %s: %w", listener.Addr(), err)
	}
	return nil
}

// advertise makes gossip name the listener's address unless another was configured. A
// listener on every interface is named by loopback: an unspecified address can't be
// connected to from elsewhere.
func (n *Node) advertise(address *net.TCPAddr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.address != "" {
		return
	}
	named := *address
	if named.IP.IsUnspecified() {
		named.IP = net.IPv4(127, 0, 0, 1)
	}
	n.address = named.String()
}

func (n *Node) advertised() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.address
}

// Close ends all subscriptions, lets other calls finish for up to two seconds, writes
// what was accepted and closes the store. Further calls return the first one's result.
func (n *Node) Close() error { return n.close() }

func (n *Node) shutDown() error {
	close(n.closing)
	cut := time.AfterFunc(drainTimeout, n.server.Stop)
	n.server.GracefulStop()
	cut.Stop()
	n.groups.close()
	n.writer.close()
	if err := n.storage.close(); err != nil {
		return fmt.Errorf("close event store: %w", err)
	}
	n.config.Logger.Info("event store closed", "store_id", n.storage.identity())
	return nil
}
