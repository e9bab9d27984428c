package node

import (
	"context"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
)

// subscribe sends events behind the pager's start, and new ones as they are written,
// until the client or the node ends it.
func (s streamsServer) subscribe(to recipient, p pager) error {
	confirmation := &streams.ReadResp{Content: &streams.ReadResp_Confirmation{
		Confirmation: &streams.ReadResp_SubscriptionConfirmation{SubscriptionId: uuid.NewString()},
	}}
	if err := to.call.Send(confirmation); err != nil {
		return err
	}
	for caughtUp := false; ; {
		// The channel is taken before the page: what is written in between closes it.
		limit, grown := s.node.writer.tail()
		end, err := s.sendPage(to, p, limit)
		if err != nil {
			return err
		}
		if !end {
			continue
		}
		if !caughtUp {
			caughtUp = true
			if err := to.sendCaughtUp(p.checkpoint()); err != nil {
				return err
			}
		}
		if err := s.wait(to.call.Context(), grown); err != nil {
			return err
		}
	}
}

func (s streamsServer) sendPage(to recipient, p pager, limit uint64) (bool, error) {
	select {
	case <-s.node.closing:
		return false, errStopping
	case <-to.call.Context().Done():
		return false, to.call.Context().Err()
	default:
	}
	read, end, err := s.node.nextPage(p, unlimited, limit)
	if err != nil {
		return false, err
	}
	return end, to.send(read.steps)
}

// sendCaughtUp says that live events follow, after a checkpoint if there is one to make.
func (r recipient) sendCaughtUp(checkpoint uint64) error {
	if checkpoint != 0 {
		if err := r.call.Send(checkpointMessage(checkpoint)); err != nil {
			return err
		}
	}
	return r.call.Send(&streams.ReadResp{Content: &streams.ReadResp_CaughtUp_{CaughtUp: &streams.ReadResp_CaughtUp{}}})
}

func (s streamsServer) wait(ctx context.Context, grown <-chan struct{}) error {
	select {
	case <-grown:
		return nil
	case <-s.node.closing:
		return errStopping
	case <-ctx.Done():
		return ctx.Err()
	}
}
