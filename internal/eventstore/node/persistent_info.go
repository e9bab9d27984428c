package node

import (
	"context"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
)

// GetInfo implements persistent.PersistentSubscriptionsServer.
func (s persistentServer) GetInfo(_ context.Context, request *persistent.GetInfoReq) (*persistent.GetInfoResp, error) {
	options := request.GetOptions()
	g, err := s.node.groups.find(keyOf(options, options.GetAll() != nil))
	if err != nil {
		return nil, err
	}
	info, err := g.info()
	return &persistent.GetInfoResp{SubscriptionInfo: info}, err
}

// List implements persistent.PersistentSubscriptionsServer. A stream without groups is
// not found, as on the server; to have none at all is an empty list.
func (s persistentServer) List(_ context.Context, request *persistent.ListReq) (*persistent.ListResp, error) {
	of := request.GetOptions().GetListForStream()
	stream := string(of.GetStream().GetStreamName())
	if of.GetAll() != nil {
		stream = allStream
	}
	found := s.node.groups.list(func(key groupKey) bool { return of == nil || key.Stream == stream })
	if of != nil && len(found) == 0 {
		return nil, groupMissing(groupKey{Stream: stream})
	}
	answer := &persistent.ListResp{}
	for _, g := range found {
		info, err := g.info()
		if err != nil {
			return nil, err
		}
		answer.Subscriptions = append(answer.Subscriptions, info)
	}
	return answer, nil
}

func (g *group) info() (*persistent.SubscriptionInfo, error) {
	parked, err := g.parkedCount()
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	info := g.config.info()
	info.Status = "Live"
	if !g.caughtUp {
		info.Status = "Behind"
	}
	info.TotalItems = g.total
	if g.checkpointed != noEvents {
		info.LastCheckpointedEventPosition = g.config.place(g.checkpointed)
	}
	if g.read != noEvents {
		info.LastKnownEventPosition = g.config.place(g.read)
	}
	info.ReadBufferCount = int32(len(g.buffer))
	info.RetryBufferCount = int32(len(g.retries))
	info.TotalInFlightMessages = int32(len(g.inFlight))
	info.OutstandingMessagesCount = int32(len(g.inFlight))
	info.ParkedMessageCount = parked
	for _, c := range g.consumers {
		info.Connections = append(info.Connections, &persistent.SubscriptionInfo_ConnectionInfo{
			From: c.from, TotalItems: c.total, InFlightMessages: int32(c.inFlight), AvailableSlots: int32(c.size - c.inFlight),
		})
	}
	return info, nil
}

// info is the part that repeats the settings.
func (c groupConfig) info() *persistent.SubscriptionInfo {
	return &persistent.SubscriptionInfo{
		EventSource:                 c.Stream,
		GroupName:                   c.Group,
		ResolveLinkTos:              c.ResolveLinks,
		StartFrom:                   c.place(c.Start),
		MessageTimeoutMilliseconds:  int32(c.MessageTimeout),
		ExtraStatistics:             c.ExtraStatistics,
		MaxRetryCount:               c.MaxRetryCount,
		LiveBufferSize:              c.LiveBufferSize,
		BufferSize:                  c.HistoryBufferSize,
		ReadBatchSize:               c.ReadBatchSize,
		CheckPointAfterMilliseconds: int32(c.CheckpointAfter),
		MinCheckPointCount:          c.MinCheckpointCount,
		MaxCheckPointCount:          c.MaxCheckpointCount,
		NamedConsumerStrategy:       c.Strategy,
		MaxSubscriberCount:          c.MaxSubscriberCount,
	}
}

// parkedCount is how many events are parked and not replayed.
func (g *group) parkedCount() (int64, error) {
	count := int64(0)
	err := g.node.writer.read(func(v view) error {
		state, err := stateOf(v, g.config.parkedStream())
		if err == nil && !state.missing() {
			count = max(0, state.last-state.window(g.node.config.Now()).first+1)
		}
		return err
	})
	return count, err
}
