package node

import (
	"math"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
)

// Read implements streams.StreamsServer: a read to the end of what is there, or a
// subscription, of one stream or of $all.
func (s streamsServer) Read(request *streams.ReadReq, call streams.Streams_ReadServer) error {
	options := request.GetOptions()
	subscribed := options.GetSubscription() != nil
	form, err := parseIDForm(options.GetUuidOption())
	if err != nil {
		return err
	}
	p, err := s.pager(options, subscribed)
	if err != nil {
		return err
	}
	to := recipient{call: call, form: form}
	if subscribed {
		return s.subscribe(to, p)
	}
	switch options.GetCountOption().(type) {
	case *streams.ReadReq_Options_Count:
		if options.GetCount() == 0 {
			return invalidArgument("count must be greater than 0")
		}
		return s.readOnce(to, p, options.GetCount(), options.GetStream().GetStreamIdentifier())
	default:
		return invalidArgument("read has neither a count nor a subscription")
	}
}

// pager makes sense of a read's options.
func (s streamsServer) pager(options *streams.ReadReq_Options, subscribed bool) (pager, error) {
	dir := direction(options.GetReadDirection() == streams.ReadReq_Options_Backwards)
	if subscribed && dir == backwards {
		return nil, invalidArgument("a subscription can only go forwards")
	}
	how := presentation{follow: options.GetResolveLinks(), now: s.node.config.Now}
	switch of := options.GetStreamOption().(type) {
	case *streams.ReadReq_Options_All:
		return s.allPager(options, of.All, how, dir, subscribed)
	case *streams.ReadReq_Options_Stream:
		if options.GetFilter() != nil {
			return nil, invalidArgument("only $all can be filtered")
		}
		return s.streamPager(of.Stream, how, dir, subscribed)
	}
	return nil, invalidArgument("read names neither a stream nor $all")
}

func (s streamsServer) allPager(options *streams.ReadReq_Options, all *streams.ReadReq_Options_AllOptions,
	how presentation, dir direction, subscribed bool,
) (pager, error) {
	p := &allPager{presentation: how, dir: dir}
	if wanted := options.GetFilter(); wanted != nil {
		var err error
		if p.filter, err = parseFilter(wanted); err != nil {
			return nil, err
		}
		if !subscribed {
			// Checkpoints are for subscriptions; a client that reads doesn't know them.
			p.filter.interval = 0
		}
	}
	from, err := allStart(all, dir)
	if err != nil || !subscribed {
		p.next = from
		return p, err
	}
	return p, s.beginAllAfter(p, from)
}

// beginAllAfter sets a subscription to begin behind the position.
func (s streamsServer) beginAllAfter(p *allPager, from uint64) error {
	tail, _ := s.node.writer.tail()
	if from > tail && from != lastPosition {
		// Waiting there would pass over all events until the log has grown that far.
		return invalidArgument("subscription would begin beyond the end of the log")
	}
	p.next = min(from, tail) + 1
	if p.filter.interval > 0 {
		// So that the checkpoint before "caught up" tells where that was, though
		// nothing was considered yet.
		p.pending = p.next - 1
	}
	return nil
}

// allStart is the position to begin at: for a read forwards the first one wanted, for a
// read backwards the last one wanted, for a subscription the one before.
func allStart(all *streams.ReadReq_Options_AllOptions, dir direction) (uint64, error) {
	switch from := all.GetAllOption().(type) {
	case *streams.ReadReq_Options_AllOptions_Start:
		return 0, nil
	case *streams.ReadReq_Options_AllOptions_End:
		return lastPosition, nil
	case *streams.ReadReq_Options_AllOptions_Position:
		commit, prepare := from.Position.GetCommitPosition(), from.Position.GetPreparePosition()
		switch {
		case prepare > commit:
			return 0, invalidArgument("prepare position is greater than commit position")
		case commit == 0 || commit == lastPosition || dir == forwards:
			return commit, nil
		}
		// Backwards, a position is the point before its event, which is not wanted.
		return commit - 1, nil
	}
	return 0, invalidArgument("read of $all has no position")
}

func (s streamsServer) streamPager(of *streams.ReadReq_Options_StreamOptions, how presentation,
	dir direction, subscribed bool,
) (pager, error) {
	name, err := streamName(of.GetStreamIdentifier())
	if err != nil {
		return nil, err
	}
	if name == allStream {
		return nil, invalidArgument("$all is read by the all option, not as a stream")
	}
	p := &streamPager{presentation: how, stream: name, dir: dir}
	from, err := streamStart(of)
	if err != nil {
		return nil, err
	}
	p.next = from
	if !subscribed {
		return p, nil
	}
	return p, s.beginAfter(p, from, of.GetStart() != nil)
}

// beginAfter sets a subscription to begin behind the revision.
func (s streamsServer) beginAfter(p *streamPager, from int64, start bool) error {
	return s.node.writer.read(func(v view) error {
		state, err := stateOf(v, p.stream)
		switch {
		case err != nil:
			return err
		case state.tombstoned:
			return streamDeleted(p.stream)
		case start:
			p.next = 0
		case from == lastRevision:
			p.next = state.last + 1
		default:
			p.next = from + 1
		}
		return nil
	})
}

// streamStart is the revision a read begins at, lastRevision for the end.
func streamStart(of *streams.ReadReq_Options_StreamOptions) (int64, error) {
	switch from := of.GetRevisionOption().(type) {
	case *streams.ReadReq_Options_StreamOptions_Start:
		return 0, nil
	case *streams.ReadReq_Options_StreamOptions_End:
		return lastRevision, nil
	case *streams.ReadReq_Options_StreamOptions_Revision:
		switch {
		case from.Revision == math.MaxUint64:
			return lastRevision, nil
		case from.Revision > math.MaxInt64:
			return 0, invalidArgument("revision is out of range")
		}
		return int64(from.Revision), nil
	}
	return 0, invalidArgument("read of a stream has no revision")
}

// recipient is a client that reads.
type recipient struct {
	call streams.Streams_ReadServer
	form idForm
}

func (r recipient) send(steps []step) error {
	for _, s := range steps {
		message := checkpointMessage(s.checkpoint)
		if s.checkpoint == 0 {
			message = readEvent(s.event, r.form)
		}
		if err := r.call.Send(message); err != nil {
			return err
		}
	}
	return nil
}

// readOnce sends at most count events. Each page is read in a view of its own: while one
// waits for the client to take it, nothing is held open.
func (s streamsServer) readOnce(to recipient, p pager, count uint64, stream *shared.StreamIdentifier) error {
	limit, _ := s.node.writer.tail()
	for {
		read, end, err := s.node.nextPage(p, count, limit)
		if err != nil {
			return err
		}
		if read.missing {
			return to.call.Send(notFoundMessage(stream))
		}
		if err := to.send(read.steps); err != nil {
			return err
		}
		count -= read.events
		if end || count == 0 {
			return nil
		}
	}
}

// nextPage reads a page of the log as it was when limit was its end.
func (n *Node) nextPage(p pager, count, limit uint64) (page, bool, error) {
	var read page
	var end bool
	err := n.storage.view(func(snap snapshot) (err error) {
		end, err = p.page(view{snapshot: snap, limit: limit}, &read, count)
		return err
	})
	return read, end, err
}
