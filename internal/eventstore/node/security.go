package node

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/emptypb"
)

// ErrExposed says that a listener can be reached from other machines while the node has
// no TLS certificate or no password to keep them out.
var ErrExposed = errors.New("event store may not listen beyond loopback without TLS and a password")

// checkListener refuses what would let anyone on the network in. A Unix socket is
// guarded by the permissions of its directory.
func (c Config) checkListener(listener net.Listener) error {
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok || address.IP.IsLoopback() || c.TLS != nil && c.Password != "" {
		return nil
	}
	return ErrExposed
}

// errUnauthenticated is the answer to a wrong user or password.
var errUnauthenticated = &failure{code: codes.Unauthenticated, message: "user or password is wrong"}

// guard lets calls in that carry the credentials. What clients ask before they have any
// cause to log in is open, as on the server.
type guard struct {
	credentials [sha256.Size]byte
}

func newGuard(user, password string) guard {
	return guard{credentials: sha256.Sum256([]byte(user + ":" + password))}
}

func (g guard) unary(ctx context.Context, req any, call *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if err := g.check(ctx, call.FullMethod); err != nil {
		return nil, err
	}
	return handle(ctx, req)
}

func (g guard) stream(srv any, stream grpc.ServerStream, call *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	if err := g.check(stream.Context(), call.FullMethod); err != nil {
		if call.IsClientStream && !call.IsServerStream {
			drain(stream)
		}
		return err
	}
	return handle(srv, stream)
}

// drain takes what the client still sends, within reason, so that it gets to see the
// answer: a client whose call ends while it sends reports "EOF" in place of the status.
func drain(stream grpc.ServerStream) {
	for range 1000 {
		if stream.RecvMsg(new(emptypb.Empty)) != nil {
			return
		}
	}
}

// check compares hashes, so that the time taken tells nothing about the password.
func (g guard) check(ctx context.Context, method string) error {
	if isOpen(method) {
		return nil
	}
	incoming, _ := metadata.FromIncomingContext(ctx)
	values := incoming.Get("authorization")
	if len(values) == 0 {
		return accessDenied("access denied: no credentials were given")
	}
	scheme, encoded, _ := strings.Cut(values[0], " ")
	given, err := base64.StdEncoding.DecodeString(encoded)
	hash := sha256.Sum256(given)
	if err != nil || !strings.EqualFold(scheme, "basic") || subtle.ConstantTimeCompare(hash[:], g.credentials[:]) != 1 {
		return errUnauthenticated
	}
	return nil
}

// isOpen tells which services answer to anyone.
func isOpen(method string) bool {
	return strings.HasPrefix(method, "/event_store.client.server_features.ServerFeatures/") ||
		strings.HasPrefix(method, "/event_store.client.gossip.Gossip/")
}
