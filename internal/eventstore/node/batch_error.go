package node

import (
	"context"
	"errors"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/emptypb"
)

// errBatchVersion marks a batch refused for its expected revision.
var errBatchVersion = errors.New("wrong expected version")

// batchError is the status of a batch that failed, with the one detail that tells the
// client what it was. Codes and details are EventStoreDB's.
func batchError(request appendRequest, result appendResult, limit int, err error) *status.Status {
	code, message, detail := codes.Unknown, "unknown error", protoadapt.MessageV1(&shared.Unknown{})
	f, failed := errors.AsType[*failure](err)
	if failed {
		message = f.message
	}
	switch {
	case errors.Is(err, errBatchVersion):
		code, message, detail = codes.AlreadyExists, "wrong expected version", batchVersion(request, result)
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
		code, message, detail = codes.DeadlineExceeded, "operation timed out", &shared.Timeout{}
	case failed && f.code == codes.FailedPrecondition:
		id := &shared.StreamIdentifier{StreamName: []byte(request.stream)}
		code, detail = codes.NotFound, &shared.StreamDeleted{StreamIdentifier: id}
	case failed && f.code == codes.PermissionDenied:
		code, detail = codes.PermissionDenied, &shared.AccessDenied{}
	case failed && f.exception() == exceptionTooBig:
		code, detail = codes.InvalidArgument, &shared.MaximumAppendSizeExceeded{MaxAppendSize: uint32(limit)}
	case failed && f.code == codes.InvalidArgument:
		code, detail = codes.InvalidArgument, &shared.BadRequest{Message: f.message}
	case failed:
		code = f.code
	}
	plain := status.New(code, message)
	if detailed, err := plain.WithDetails(detail); err == nil {
		plain = detailed
	}
	return plain
}

func batchVersion(request appendRequest, result appendResult) *shared.WrongExpectedVersion {
	wrong := &shared.WrongExpectedVersion{
		CurrentStreamRevisionOption: &shared.WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &emptypb.Empty{}},
	}
	if last := result.state.last; last != noEvents {
		wrong.CurrentStreamRevisionOption = &shared.WrongExpectedVersion_CurrentStreamRevision{CurrentStreamRevision: uint64(last)}
	}
	switch request.expected {
	case expectAny:
		wrong.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedAny{ExpectedAny: &emptypb.Empty{}}
	case expectNoStream:
		wrong.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &emptypb.Empty{}}
	case expectStreamExists:
		wrong.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &emptypb.Empty{}}
	default:
		wrong.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedStreamPosition{
			ExpectedStreamPosition: uint64(request.expected),
		}
	}
	return wrong
}
