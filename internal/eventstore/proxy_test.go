package eventstore_test

import (
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy stands between client and node on a socket of its own and breaks connections on
// demand.
type proxy struct {
	socket   string
	listener net.Listener
	// requestBytes, when not negative, is how many more bytes of requests
	// pass before the connection is cut.
	requestBytes atomic.Int64
	// deaf swallows answers.
	deaf atomic.Bool

	mu     sync.Mutex
	target string
	conns  map[net.Conn]bool
	work   sync.WaitGroup
}

func startProxy(t *testing.T, target string) *proxy {
	t.Helper()
	dir, err := os.MkdirTemp("", "proxy")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := listenProxy(t, "unix", filepath.Join(dir, "p.sock"), target)
	p.socket = p.listener.Addr().String()
	return p
}

// listenProxy has the proxy listen elsewhere.
func listenProxy(t *testing.T, network, address, target string) *proxy {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, target: target, conns: map[net.Conn]bool{}}
	p.requestBytes.Store(-1)
	p.work.Go(p.accept)
	t.Cleanup(func() {
		_ = p.listener.Close()
		p.cut()
		p.work.Wait()
	})
	return p
}

// url leads to a proxy that listens on TCP.
func (p *proxy) url() string { return "esdb://" + p.listener.Addr().String() + "?tls=false" }

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		target := p.target
		p.mu.Unlock()
		server, err := net.Dial("unix", target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		p.work.Go(func() { p.copy(server, client, p.passRequest) })
		p.work.Go(func() { p.copy(client, server, p.passAnswer) })
	}
}

// copy forwards as many bytes as pass lets through, until pass says to cut.
func (p *proxy) copy(to, from net.Conn, pass func(int) (passed int, cut bool)) {
	defer func() {
		_, _ = to.Close(), from.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, from)
	}()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		passed, cut := pass(n)
		if _, err := to.Write(buffer[:passed]); err != nil || cut {
			return
		}
	}
}

func (p *proxy) passAnswer(n int) (int, bool) {
	if p.deaf.Load() {
		return 0, false
	}
	return n, false
}

// passRequest counts requestBytes down and cuts at 0.
func (p *proxy) passRequest(n int) (int, bool) {
	for {
		left := p.requestBytes.Load()
		switch {
		case left < 0:
			return n, false
		case left > int64(n):
			if p.requestBytes.CompareAndSwap(left, left-int64(n)) {
				return n, false
			}
		default:
			if p.requestBytes.CompareAndSwap(left, -1) {
				return int(left), true
			}
		}
	}
}

// lead breaks all connections and sends later ones to another socket.
func (p *proxy) lead(target string) {
	p.mu.Lock()
	p.target = target
	p.mu.Unlock()
	p.cut()
}

// cut breaks all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}
