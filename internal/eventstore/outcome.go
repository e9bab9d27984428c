package eventstore

import (
	"context"
	"errors"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// Outcome puts the error of a round trip, as Config.Observe gets it, into a few
// words: "ok", "conflict" (the stream was not at the expected revision),
// "canceled" (the caller did not wait), "no_answer", or "error".
func Outcome(err error) string {
	switch {
	case err == nil, errors.Is(err, errNothingLeft), hasCode(err, esdb.ErrorCodeResourceNotFound):
		return "ok" // a stream that does not exist was read to its end
	case hasCode(err, esdb.ErrorCodeWrongExpectedVersion):
		return "conflict"
	case errors.Is(err, context.Canceled), errors.Is(err, ErrClosed):
		return "canceled"
	case errors.Is(err, errNoAnswer), errors.Is(err, context.DeadlineExceeded):
		return "no_answer"
	}
	return "error"
}
