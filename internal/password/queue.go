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

// enter waits for a worker, or sheds at once when too many wait already.
func (q queue) enter(ctx context.Context) (leave func(), err error) {
	select {
	case q.waiting <- struct{}{}:
	default:
		return nil, ErrBusy
	}
	select {
	case q.working <- struct{}{}:
		return func() { <-q.working; <-q.waiting }, nil
	case <-ctx.Done():
		<-q.waiting
		return nil, ctx.Err()
	}
}
