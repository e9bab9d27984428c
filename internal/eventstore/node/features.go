package node

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	features "github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
)

// protocolVersion is the server version whose behaviour is followed. Clients parse it as
// integers between dots and refuse to connect to anything else.
const protocolVersion = "24.10.0"

// featuresServer tells clients what they may call.
type featuresServer struct {
	features.UnimplementedServerFeaturesServer
}

// supported lists service, method and features, in lower case: the Go client compares
// them so. What isn't listed, clients don't use.
var supported = []struct {
	service, method string
	features        []string
}{
	{"event_store.client.streams.streams", "append", nil},
	{"event_store.client.streams.streams", "batchappend", []string{"deadline_duration"}},
	{"event_store.client.streams.streams", "read", []string{"position", "events"}},
	{"event_store.client.streams.streams", "delete", nil},
	{"event_store.client.streams.streams", "tombstone", nil},
	{"event_store.client.persistent_subscriptions.persistentsubscriptions", "create", []string{"stream", "all"}},
	{"event_store.client.persistent_subscriptions.persistentsubscriptions", "update", []string{"stream", "all"}},
	{"event_store.client.persistent_subscriptions.persistentsubscriptions", "delete", []string{"stream", "all"}},
	{"event_store.client.persistent_subscriptions.persistentsubscriptions", "read", []string{"stream", "all"}},
	{"event_store.client.persistent_subscriptions.persistentsubscriptions", "getinfo", []string{"stream", "all"}},
	{"event_store.client.persistent_subscriptions.persistentsubscriptions", "replayparked", []string{"stream", "all"}},
	{"event_store.client.persistent_subscriptions.persistentsubscriptions", "list", []string{"stream", "all"}},
	{"event_store.client.persistent_subscriptions.persistentsubscriptions", "restartsubsystem", nil},
	{"event_store.client.gossip.gossip", "read", nil},
	{"event_store.client.server_features.serverfeatures", "getsupportedmethods", nil},
}

// GetSupportedMethods implements server_features.ServerFeaturesServer.
func (featuresServer) GetSupportedMethods(context.Context, *shared.Empty) (*features.SupportedMethods, error) {
	answer := &features.SupportedMethods{EventStoreServerVersion: protocolVersion}
	for _, s := range supported {
		answer.Methods = append(answer.Methods, &features.SupportedMethod{
			ServiceName: s.service, MethodName: s.method, Features: s.features,
		})
	}
	return answer, nil
}

// gossipServer presents the node as a cluster of one, for clients that insist on asking.
type gossipServer struct {
	gossip.UnimplementedGossipServer
	node *Node
}

// Read implements gossip.GossipServer.
func (g gossipServer) Read(context.Context, *shared.Empty) (*gossip.ClusterInfo, error) {
	host, port, err := splitAddress(g.node.advertised())
	if err != nil {
		return nil, unavailable("the node has no address to advertise")
	}
	return &gossip.ClusterInfo{Members: []*gossip.MemberInfo{{
		InstanceId:   structuredID(g.node.StoreID()),
		TimeStamp:    ticks(g.node.config.Now()),
		State:        gossip.MemberInfo_Leader,
		IsAlive:      true,
		HttpEndPoint: &gossip.EndPoint{Address: host, Port: uint32(port)},
	}}}, nil
}

// splitAddress takes host:port apart.
func splitAddress(address string) (host string, port uint16, err error) {
	host, digits, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	number, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || number == 0 || host == "" {
		return "", 0, fmt.Errorf("%q is not of the form host:port", address)
	}
	return host, uint16(number), nil
}
