package node

import (
	"context"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc/peer"
)

// maxConsumerBuffer bounds how many events a consumer may have at a time.
const maxConsumerBuffer = 10_000

// persistentServer serves the PersistentSubscriptions service.
type persistentServer struct {
	persistent.UnimplementedPersistentSubscriptionsServer
	node *Node
}

// Create implements persistent.PersistentSubscriptionsServer.
func (s persistentServer) Create(ctx context.Context, request *persistent.CreateReq) (*persistent.CreateResp, error) {
	config, err := s.createdConfig(request.GetOptions())
	if err != nil {
		return nil, err
	}
	return &persistent.CreateResp{}, s.node.groups.create(ctx, config)
}

func (s persistentServer) createdConfig(options *persistent.CreateReq_Options) (groupConfig, error) {
	config := groupConfig{groupKey: groupKey{Stream: allStream, Group: options.GetGroupName()}}
	var err error
	switch of := options.GetStreamOption().(type) {
	case *persistent.CreateReq_Options_All:
		if config.Filter, err = createdFilter(of.All.GetFilter()); err != nil {
			return config, err
		}
		err = s.startAll(&config, of.All.GetPosition().GetCommitPosition(), of.All.GetEnd() != nil)
	case *persistent.CreateReq_Options_Stream:
		if config.Stream, err = writableName(of.Stream.GetStreamIdentifier()); err != nil {
			return config, err
		}
		err = config.startAt(of.Stream.GetRevision(), of.Stream.GetEnd() != nil)
	default:
		err = config.startFormer(options, options.GetSettings())
	}
	if err != nil {
		return config, err
	}
	settings := options.GetSettings()
	strategy := settings.GetConsumerStrategy()
	if strategy == "" {
		//nolint:staticcheck // deprecated in the protocol, but what the clients send
		strategy = settings.GetNamedConsumerStrategy().String()
	}
	return config, config.set(settings, strategy)
}

// startFormer reads stream and start where they were before groups on $all came to be.
// The Node client still sends them there.
func (c *groupConfig) startFormer(options interface {
	GetStreamIdentifier() *shared.StreamIdentifier
}, settings interface{ GetRevision() uint64 },
) (err error) {
	if c.Stream, err = writableName(options.GetStreamIdentifier()); err != nil {
		return err
	}
	return c.startAt(settings.GetRevision(), false)
}

// startAll refuses a start that isn't there yet: the group would pass over what comes
// before it.
func (s persistentServer) startAll(config *groupConfig, position uint64, end bool) error {
	tail, _ := s.node.writer.tail()
	if !end && position != lastPosition && position > tail {
		return subscriptionFailed(config.groupKey, "start is beyond the end of the log")
	}
	return config.startAt(position, end)
}

// Update implements persistent.PersistentSubscriptionsServer. A start that isn't given
// is the first event, as on the server.
func (s persistentServer) Update(ctx context.Context, request *persistent.UpdateReq) (*persistent.UpdateResp, error) {
	options := request.GetOptions()
	config := groupConfig{groupKey: groupKey{Stream: allStream, Group: options.GetGroupName()}}
	var err error
	switch of := options.GetStreamOption().(type) {
	case *persistent.UpdateReq_Options_All:
		err = s.startAll(&config, of.All.GetPosition().GetCommitPosition(), of.All.GetEnd() != nil)
	case *persistent.UpdateReq_Options_Stream:
		config.Stream = string(of.Stream.GetStreamIdentifier().GetStreamName())
		err = config.startAt(of.Stream.GetRevision(), of.Stream.GetEnd() != nil)
	default:
		err = config.startFormer(options, options.GetSettings())
	}
	if err != nil {
		return nil, err
	}
	settings := options.GetSettings()
	if err := config.set(settings, settings.GetNamedConsumerStrategy().String()); err != nil {
		return nil, err
	}
	return &persistent.UpdateResp{}, s.node.groups.update(ctx, config)
}

// Delete implements persistent.PersistentSubscriptionsServer.
func (s persistentServer) Delete(ctx context.Context, request *persistent.DeleteReq) (*persistent.DeleteResp, error) {
	options := request.GetOptions()
	key := keyOf(options, options.GetAll() != nil)
	return &persistent.DeleteResp{}, s.node.groups.remove(ctx, key)
}

// RestartSubsystem implements persistent.PersistentSubscriptionsServer.
func (s persistentServer) RestartSubsystem(context.Context, *shared.Empty) (*shared.Empty, error) {
	return &shared.Empty{}, s.node.groups.restart()
}

// groupOption is what requests that name a group have in common.
type groupOption interface {
	GetStreamIdentifier() *shared.StreamIdentifier
	GetGroupName() string
}

func keyOf(o groupOption, all bool) groupKey {
	key := groupKey{Stream: string(o.GetStreamIdentifier().GetStreamName()), Group: o.GetGroupName()}
	if all {
		key.Stream = allStream
	}
	return key
}

// Read implements persistent.PersistentSubscriptionsServer: one consumer's connection.
func (s persistentServer) Read(call persistent.PersistentSubscriptions_ReadServer) error {
	first, err := call.Recv()
	if err != nil {
		return err
	}
	options := first.GetOptions()
	if size := options.GetBufferSize(); options == nil || size <= 0 || size > maxConsumerBuffer {
		return invalidArgument("connection must begin with options and a buffer size between 1 and 10000")
	}
	g, err := s.node.groups.find(keyOf(options, options.GetAll() != nil))
	if err != nil {
		return err
	}
	c, err := g.connect(callerOf(call.Context()), int(options.GetBufferSize()))
	if err != nil {
		return err
	}
	defer g.disconnect(c)
	if err := call.Send(confirmConnection(g)); err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- g.receive(call) }()
	form := structuredID
	if options.GetUuidOption().GetString_() != nil {
		form = stringID
	}
	return s.deliver(call, c, form, failed)
}

func confirmConnection(g *group) *persistent.ReadResp {
	return &persistent.ReadResp{Content: &persistent.ReadResp_SubscriptionConfirmation_{
		SubscriptionConfirmation: &persistent.ReadResp_SubscriptionConfirmation{SubscriptionId: g.config.String()},
	}}
}

func callerOf(ctx context.Context) string {
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		return p.Addr.String()
	}
	return ""
}

// deliver sends what the group gives the consumer until one of them ends it.
func (s persistentServer) deliver(call persistent.PersistentSubscriptions_ReadServer, c *consumer, form idForm, failed <-chan error) error {
	for {
		select {
		case e := <-c.out:
			if err := call.Send(deliveredEvent(e, form)); err != nil {
				return err
			}
		case err := <-c.dropped:
			return err
		case err := <-failed:
			return err
		case <-s.node.closing:
			return errStopping
		case <-call.Context().Done():
			return call.Context().Err()
		}
	}
}

// receive takes the consumer's acks until the call ends.
func (g *group) receive(call persistent.PersistentSubscriptions_ReadServer) error {
	for {
		message, err := call.Recv()
		if err != nil {
			return err
		}
		switch content := message.GetContent().(type) {
		case *persistent.ReadReq_Ack_:
			err = g.settle(content.Ack.GetIds(), nackSkip, "")
		case *persistent.ReadReq_Nack_:
			err = g.settle(content.Nack.GetIds(), nackActionOf(content.Nack.GetAction()), content.Nack.GetReason())
		default:
			err = invalidArgument("connection takes acks and nacks only")
		}
		if err != nil {
			return err
		}
	}
}

// nackActionOf: an unknown action means retry, and stop is only skip, as on the server.
func nackActionOf(action persistent.ReadReq_Nack_Action) nackAction {
	switch action {
	case persistent.ReadReq_Nack_Park:
		return nackPark
	case persistent.ReadReq_Nack_Skip, persistent.ReadReq_Nack_Stop:
		return nackSkip
	}
	return nackRetry
}
