package eventstore

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

// probeStream is never written to.
const probeStream = "probe"

var errTakesAnything = errors.New("the event store took an event at a revision that its stream does not have")

// Writable asks the store to append at a revision that the stream does not have. It
// returns nil if the store refuses for that reason, within ctx, and else an error that
// matches ErrUnavailable. A store whose disk is full answers reads, hence Ping, as
// before; nothing is written.
func (c *Client) Writable(ctx context.Context) error {
	err := c.repeat(ctx, func(ctx context.Context) error {
		_, err := attempt(ctx, c, OpProbe, c.probe)
		return err
	})
	if err != nil {
		return fmt.Errorf("ask for writes: %w", err)
	}
	return nil
}

func (c *Client) probe(ctx context.Context, client *esdb.Client) (struct{}, error) {
	options := esdb.AppendToStreamOptions{ExpectedRevision: esdb.Revision(math.MaxInt32), Deadline: &c.config.AttemptTimeout}
	event := esdb.EventData{EventID: uuid.New(), EventType: "Probe", ContentType: esdb.ContentTypeJson, Data: []byte("{}")}
	_, err := client.AppendToStream(ctx, c.fullName(probeStream), options, event)
	if err == nil {
		err = errTakesAnything
	}
	if hasCode(err, esdb.ErrorCodeWrongExpectedVersion) {
		err = nil
	}
	return struct{}{}, err
}
