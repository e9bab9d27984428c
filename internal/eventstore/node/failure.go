package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// failure is an error as the protocol tells it: a gRPC status, and trailers from which
// clients make their own error types. Keys and values are those of EventStoreDB's
// Constants.Exceptions.
type failure struct {
	code     codes.Code
	message  string
	trailers []string
}

// Error implements error.
func (f *failure) Error() string { return f.message }

// GRPCStatus makes grpc-go answer with the failure's status.
func (f *failure) GRPCStatus() *status.Status { return status.New(f.code, f.message) }

// exception is the kind of error as clients are told it, empty if they aren't.
func (f *failure) exception() string {
	if len(f.trailers) < 2 {
		return ""
	}
	return f.trailers[1]
}

// exceptionTooBig is the kind of an append over the size limit.
const exceptionTooBig = "maximum-append-size-exceeded"

func invalidArgument(message string) error {
	return &failure{code: codes.InvalidArgument, message: message}
}

func unavailable(message string) error {
	return &failure{code: codes.Unavailable, message: message}
}

// errStopping ends what can't be finished when the node closes. Clients connect anew for it.
var errStopping = unavailable("the node is stopping")

// streamDeleted must always carry the stream's name: the Go client v4.2.0 panics without.
func streamDeleted(stream string) error {
	return &failure{
		code:     codes.FailedPrecondition,
		message:  fmt.Sprintf("event stream %q is deleted", stream),
		trailers: []string{"exception", "stream-deleted", "stream-name", headerValue(stream)},
	}
}

// wrongVersion is the answer to a deletion; an append has a message of its own for it.
func wrongVersion(stream string, expected expectation, actual int64) error {
	return &failure{
		code:    codes.FailedPrecondition,
		message: fmt.Sprintf("wrong expected version of stream %q: expected %d, is %d", stream, expected, actual),
		trailers: []string{
			"exception", "wrong-expected-version", "stream-name", headerValue(stream),
			"expected-version", strconv.FormatInt(int64(expected), 10),
			"actual-version", strconv.FormatInt(actual, 10),
		},
	}
}

func appendTooBig(limit int) error {
	return &failure{
		code:    codes.InvalidArgument,
		message: fmt.Sprintf("maximum append size of %d bytes exceeded", limit),
		trailers: []string{
			"exception", exceptionTooBig, "maximum-append-size", strconv.Itoa(limit),
		},
	}
}

func missingMetadata(property string) error {
	return &failure{
		code:    codes.InvalidArgument,
		message: fmt.Sprintf("required metadata property %q is missing", property),
		trailers: []string{
			"exception", "missing-required-metadata-property",
			"required-metadata-properties", "type,content-type",
		},
	}
}

func accessDenied(message string) error {
	return &failure{code: codes.PermissionDenied, message: message, trailers: []string{"exception", "access-denied"}}
}

// headerValue makes a stream's name fit for a trailer, which holds printable ASCII only.
func headerValue(stream string) string {
	for _, c := range []byte(stream) {
		if c < ' ' || c > '~' {
			return url.PathEscape(stream)
		}
	}
	return stream
}

// answering makes answers of errors: it puts a failure's trailers on the wire, and hides
// what is inside an unexpected error, such as paths, from clients.
type answering struct {
	log *slog.Logger
}

func (a answering) unary(ctx context.Context, req any, call *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	answer, err := handle(ctx, req)
	if f, ok := errors.AsType[*failure](err); ok && len(f.trailers) > 0 {
		_ = grpc.SetTrailer(ctx, metadata.Pairs(f.trailers...)) // fails only outside a call
	}
	return answer, a.wireError(call.FullMethod, err)
}

func (a answering) stream(srv any, stream grpc.ServerStream, call *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	err := handle(srv, stream)
	if f, ok := errors.AsType[*failure](err); ok && len(f.trailers) > 0 {
		stream.SetTrailer(metadata.Pairs(f.trailers...))
	}
	return a.wireError(call.FullMethod, err)
}

func (a answering) wireError(method string, err error) error {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if s, ok := status.FromError(err); ok {
		return s.Err()
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return status.FromContextError(err).Err()
	}
	a.log.Error("event store call failed", "method", method, "error", err)
	return status.Error(codes.Internal, "internal error of the event store")
}
