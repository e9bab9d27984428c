package password

import "context"

// waitersPerWorker bounds the queue. One hash takes some 25 ms, so the last in
// line waits about 200 ms.
const waitersPerWorker = 8

// queue is a semaphore with a bounded number of waiters.
type queue struct {
	working chan struct{}
	waiting chan struct{}
}

func newQueue(workers int) queue {
	return queue{make(chan struct{}, workers), make(chan struct{}, workers*(1+waitersPerWorker))}
}

// placed is the key under which a context carries the line that its caller has a
// place in.
type placed struct{}

// admit takes a place in the line before there is anything to hash, or sheds at once
// when there is none. Whoever enters with the context has that place.
func (q queue) admit(ctx context.Context) (_ context.Context, leave func(), err error) {
	select {
	case q.waiting <- struct{}{}:
		return context.WithValue(ctx, placed{}, q.waiting), func() { <-q.waiting }, nil
	default:
		return nil, nil, ErrBusy
	}
}

// enter waits for a worker, or sheds at once when too many wait already.
func (q queue) enter(ctx context.Context) (leave func(), err error) {
	leaveLine := func() {}
	if ctx.Value(placed{}) != q.waiting {
		if _, leaveLine, err = q.admit(ctx); err != nil {
			return nil, err
		}
	}
	select {
	case q.working <- struct{}{}:
		return func() { <-q.working; leaveLine() }, nil
	case <-ctx.Done():
		leaveLine()
		return nil, ctx.Err()
	}
}
