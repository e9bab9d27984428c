package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/emptypb"
)

const (
	// maxOpenBatches bounds the batches of one call that are begun and not final, and so
	// the memory one client can take up.
	maxOpenBatches = 256
	// maxWaitingBatches bounds those that wait for the disk. More are left unread, which
	// holds the client back.
	maxWaitingBatches = 256
)

// batch is an append that comes in parts, told apart by its correlation id.
type batch struct {
	correlation *shared.UUID
	options     *streams.BatchAppendReq_Options
	request     appendRequest
	// fault is the first thing wrong with it. It is answered when the batch is final, so
	// that its later parts aren't taken for a new one.
	fault error
}

// batchCall is one call of BatchAppend: many appends, answered as each is done.
type batchCall struct {
	node *Node
	call streams.Streams_BatchAppendServer
	open map[uuid.UUID]*batch
	// waiting counts appends that are not answered yet.
	waiting sync.WaitGroup
	slots   chan struct{}
	// sending guards call.Send, which takes one caller at a time.
	sending sync.Mutex
}

// BatchAppend implements streams.StreamsServer. Batches are written in the order in
// which they become final.
func (s streamsServer) BatchAppend(call streams.Streams_BatchAppendServer) error {
	b := &batchCall{node: s.node, call: call, open: map[uuid.UUID]*batch{}, slots: make(chan struct{}, maxWaitingBatches)}
	err := b.receive()
	b.waiting.Wait()
	return err
}

// receive takes messages until the client has no more, or the node closes: the call
// would stay open for ever otherwise.
func (b *batchCall) receive() error {
	ctx, cancel := context.WithCancel(b.call.Context())
	defer cancel()
	messages, failed := make(chan *streams.BatchAppendReq), make(chan error, 1)
	go func() {
		for {
			message, err := b.call.Recv()
			if err != nil {
				failed <- err
				return
			}
			select {
			case messages <- message:
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		select {
		case message := <-messages:
			if err := b.take(ctx, message); err != nil {
				return err
			}
		case err := <-failed:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		case <-b.node.closing:
			return errStopping
		}
	}
}

// take adds a message to its batch and, with the last one, has that written.
func (b *batchCall) take(ctx context.Context, message *streams.BatchAppendReq) error {
	id, err := parseID(message.GetCorrelationId())
	if err != nil {
		return err
	}
	current, found := b.open[id]
	if !found {
		if len(b.open) == maxOpenBatches {
			return invalidArgument(fmt.Sprintf("more than %d batches are open", maxOpenBatches))
		}
		current = &batch{correlation: message.GetCorrelationId(), options: message.GetOptions()}
		current.fault = current.begin()
		b.open[id] = current
	}
	current.add(message, b.node.config.MaxAppendSize)
	if !message.GetIsFinal() {
		return nil
	}
	delete(b.open, id)
	return b.write(ctx, current)
}

func (b *batch) begin() (err error) {
	if b.request.stream, err = writableName(b.options.GetStreamIdentifier()); err != nil {
		return err
	}
	switch expected := b.options.GetExpectedStreamPosition().(type) {
	case *streams.BatchAppendReq_Options_Any:
		b.request.expected = expectAny
	case *streams.BatchAppendReq_Options_NoStream:
		b.request.expected = expectNoStream
	case *streams.BatchAppendReq_Options_StreamExists:
		b.request.expected = expectStreamExists
	case *streams.BatchAppendReq_Options_StreamPosition:
		b.request.expected, err = expectRevision(expected.StreamPosition)
	default:
		err = invalidArgument("expected stream position is missing")
	}
	return err
}

func (b *batch) add(message *streams.BatchAppendReq, limit int) {
	for _, p := range message.GetProposedMessages() {
		if b.fault != nil {
			b.request.events = nil
			return
		}
		event, err := parseProposed(p.GetId(), p.GetMetadata(), p.GetCustomMetadata(), p.GetData())
		if err != nil {
			b.fault = err
			continue
		}
		b.fault = b.request.addEvent(event, limit)
	}
}

// write puts the batch in the writer's queue and returns; the answer follows when it is
// written.
func (b *batchCall) write(ctx context.Context, current *batch) error {
	if current.fault != nil {
		return b.answer(current, appendResult{}, current.fault)
	}
	var result appendResult
	request, err := b.node.writer.enqueue(ctx, func(d *draft) (err error) {
		result, err = planAppend(d, current.request)
		return err
	})
	if err != nil {
		return err
	}
	b.slots <- struct{}{}
	b.waiting.Go(func() {
		defer func() { <-b.slots }()
		ctx, cancel := current.deadline(b.call.Context())
		defer cancel()
		err := b.node.writer.await(ctx, request)
		if err != nil {
			_ = b.answer(current, appendResult{}, err) // the call ends by itself if this fails
			return
		}
		_ = b.answer(current, result, nil)
	})
	return nil
}

// deadline is the time the client gives the batch. Its outcome is unknown afterwards.
func (b *batch) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if d := b.options.GetDeadline(); d != nil && d.IsValid() {
		return context.WithTimeout(ctx, d.AsDuration())
	}
	if t := b.options.GetDeadline_21_10_0(); t != nil && t.IsValid() {
		return context.WithDeadline(ctx, t.AsTime())
	}
	return context.WithCancel(ctx)
}

func (b *batchCall) answer(current *batch, result appendResult, err error) error {
	message := &streams.BatchAppendResp{
		CorrelationId:    current.correlation,
		StreamIdentifier: current.options.GetStreamIdentifier(),
	}
	echoExpectation(message, current.options)
	if err == nil && result.outcome == outcomeWrongVersion {
		err = errBatchVersion
	}
	if err != nil {
		message.Result = &streams.BatchAppendResp_Error{
			Error: batchError(current.request, result, b.node.config.MaxAppendSize, err).Proto(),
		}
	} else {
		message.Result = &streams.BatchAppendResp_Success_{Success: batchSuccess(result)}
	}
	b.sending.Lock()
	defer b.sending.Unlock()
	return b.call.Send(message)
}

// echoExpectation repeats what the client expected, as the server does.
func echoExpectation(message *streams.BatchAppendResp, options *streams.BatchAppendReq_Options) {
	switch expected := options.GetExpectedStreamPosition().(type) {
	case *streams.BatchAppendReq_Options_Any:
		message.ExpectedStreamPosition = &streams.BatchAppendResp_Any{Any: &emptypb.Empty{}}
	case *streams.BatchAppendReq_Options_NoStream:
		message.ExpectedStreamPosition = &streams.BatchAppendResp_NoStream{NoStream: &emptypb.Empty{}}
	case *streams.BatchAppendReq_Options_StreamExists:
		message.ExpectedStreamPosition = &streams.BatchAppendResp_StreamExists{StreamExists: &emptypb.Empty{}}
	case *streams.BatchAppendReq_Options_StreamPosition:
		message.ExpectedStreamPosition = &streams.BatchAppendResp_StreamPosition{StreamPosition: expected.StreamPosition}
	}
}

func batchSuccess(result appendResult) *streams.BatchAppendResp_Success {
	success := &streams.BatchAppendResp_Success{
		CurrentRevisionOption: &streams.BatchAppendResp_Success_NoStream{NoStream: &emptypb.Empty{}},
		PositionOption:        &streams.BatchAppendResp_Success_NoPosition{NoPosition: &emptypb.Empty{}},
	}
	if result.revision != noEvents {
		success.CurrentRevisionOption = &streams.BatchAppendResp_Success_CurrentRevision{CurrentRevision: uint64(result.revision)}
	}
	if p := result.position; p != 0 {
		success.PositionOption = &streams.BatchAppendResp_Success_Position{
			Position: &shared.AllStreamPosition{CommitPosition: p, PreparePosition: p},
		}
	}
	return success
}
