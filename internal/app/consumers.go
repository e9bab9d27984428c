package app

import (
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"daybook/internal/messaging"
)

// patience is for how long a part may make no progress before it counts as dead.
// Reconnecting takes a second or two.
const patience = 5 * time.Second

// settled is how long a connection must last to count as working again.
const settled = 2 * time.Second

// States of a consumer in this process.
const (
	stateLive         = "live"         // all events so far are handled
	stateBehind       = "catching_up"  // and it makes progress
	stateStandby      = "standby"      // another process has the lease
	stateStarting     = "starting"     // has the lease, not subscribed yet
	stateDisconnected = "disconnected" // from the event store
	stateInterrupted  = "interrupted"  // ends again and again, or cannot get its lease
	stateFailing      = "failing"      // the same message is nacked again and again
	stateStuck        = "stuck"        // a message is in hand for too long
	stateStalled      = "stalled"      // events wait and the checkpoint stands still
)

// watched is what is known of a consumer of this process.
type watched struct {
	name     string
	observer *observer

	mu         sync.Mutex
	subscriber *messaging.Subscriber // nil while not the owner
	taken      time.Time             // the lease was
	began      time.Time             // the message in hand; zero for none
	failing    time.Time             // since when each try has failed; zero for none
	broken     time.Time             // since when it has been interrupted again and again
}

// own notes that this process has the lease, until release.
func (w *watched) own(subscriber *messaging.Subscriber) (release func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.subscriber, w.taken = subscriber, time.Now()
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.subscriber, w.began, w.failing = nil, time.Time{}, time.Time{}
	}
}

// interrupted notes that the consumer has to begin anew.
func (w *watched) interrupted() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken.IsZero() {
		w.broken = time.Now()
	}
}

// handler observes each message.
func (w *watched) handler(handle message.NoPublishHandlerFunc) message.NoPublishHandlerFunc {
	return func(msg *message.Message) error {
		ctx, end := w.observer.handling(msg.Context(), w.name, messaging.BatchFromContext(msg.Context()).Events)
		msg.SetContext(ctx)
		w.begin()
		err := handle(msg)
		w.end(err)
		end(err)
		return err
	}
}

func (w *watched) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.began = time.Now()
}

func (w *watched) end(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		w.failing, w.broken = time.Time{}, time.Time{}
	case w.failing.IsZero():
		w.failing = w.began
	}
	w.began = time.Time{}
}

// status returns that of the subscription; known is false without one.
func (w *watched) status() (status messaging.Status, known bool) {
	w.mu.Lock()
	subscriber := w.subscriber
	w.mu.Unlock()
	if subscriber == nil {
		return messaging.Status{}, false
	}
	all := subscriber.Status()
	if len(all) == 0 {
		return messaging.Status{}, false
	}
	return all[0], true
}

// state tells how the consumer is; well is false when it counts as dead.
func (w *watched) state(now time.Time) (state string, well bool) {
	status, subscribed := w.status()
	w.mu.Lock()
	defer w.mu.Unlock()
	if subscribed && status.Connected && now.Sub(status.Since) >= settled {
		w.broken = time.Time{}
	}
	switch {
	case longer(now, w.broken):
		return stateInterrupted, false
	case longer(now, w.failing):
		return stateFailing, false
	case longer(now, w.began):
		return stateStuck, false
	case w.subscriber == nil:
		return stateStandby, true
	case !subscribed:
		return stateStarting, !longer(now, w.taken)
	case !status.Connected:
		return stateDisconnected, !longer(now, status.Since)
	case status.CaughtUp:
		return stateLive, true
	}
	return stateBehind, true
}

// longer reports whether something has lasted beyond patience.
func longer(now, since time.Time) bool { return !since.IsZero() && now.Sub(since) > patience }
