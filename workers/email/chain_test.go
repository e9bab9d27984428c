package email

import (
	"context"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"daybook/internal/messaging"
	"daybook/internal/testkit"
)

// The whole way: an append, the store's subscription, the router, the queue, the
// relay. The reactor is stopped in between and starts where it was.
func TestFromEventToMailbox(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run(t, w.config(), w.repo.Account)

	stop := w.route(t)
	w.append(t, 0, w.registered(), w.activation(time.Hour))
	w.awaitMails(t, 1)
	stop()

	w.append(t, 0, w.activation(time.Hour))
	w.route(t)
	w.awaitMails(t, 2)
	if jobs := w.finished(t); len(jobs) != 2 {
		t.Errorf("jobs are %s, want two", describe(jobs))
	}
	w.checkNothingLeft(t, w.mails(t))
}

func (w *world) awaitMails(t *testing.T, n int) {
	t.Helper()
	testkit.Await(t, patience, "the mails are there", func() bool { return len(w.mails(t)) == n })
}

// route runs a new reactor in a router until stop or the test's end.
func (w *world) route(t *testing.T) (stop func()) {
	t.Helper()
	reactor, err := NewReactor(w.pool, w.logger())
	if err != nil {
		t.Fatal(err)
	}
	subscriber, err := messaging.NewSubscriber(w.repo.Client, messaging.SubscriberConfig{
		Start: func(ctx context.Context, _ string) (uint64, bool, error) {
			after, err := reactor.Start(ctx)
			return after, err == nil && after > 0, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: patience}, watermill.NopLogger{})
	if err != nil {
		t.Fatal(err)
	}
	router.AddConsumerHandler("email", messaging.All, subscriber, reactor.Handle)
	ended := make(chan error, 1)
	go func() { ended <- router.Run(t.Context()) }()
	<-router.Running()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		if err := router.Close(); err != nil {
			t.Errorf("close the router: %v", err)
		}
		if err := <-ended; err != nil {
			t.Errorf("run the router: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}
