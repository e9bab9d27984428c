package node

import (
	"fmt"

	"google.golang.org/grpc/codes"
)

// groupFailure is an error about a group, named by the exception that clients know.
func groupFailure(code codes.Code, key groupKey, exception, message string) *failure {
	return &failure{
		code:    code,
		message: fmt.Sprintf("subscription group %q on stream %q %s", key.Group, key.Stream, message),
		trailers: []string{
			"exception", exception, "stream-name", headerValue(key.Stream), "group-name", headerValue(key.Group),
		},
	}
}

func groupExists(key groupKey) error {
	return groupFailure(codes.AlreadyExists, key, "persistent-subscription-exists", "exists")
}

func groupMissing(key groupKey) error {
	return groupFailure(codes.NotFound, key, "persistent-subscription-does-not-exist", "does not exist")
}

func groupDropped(key groupKey) error {
	return groupFailure(codes.Canceled, key, "persistent-subscription-dropped", "was dropped")
}

func groupFull(key groupKey) error {
	return groupFailure(codes.FailedPrecondition, key, "maximum-subscribers-reached", "has reached its maximum of subscribers")
}

func subscriptionFailed(key groupKey, reason string) error {
	f := groupFailure(codes.Internal, key, "persistent-subscription-failed", "failed: "+reason)
	f.trailers = append(f.trailers, "reason", headerValue(reason))
	return f
}
