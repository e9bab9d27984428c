package messaging

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Status says how a topic's newest subscription does, for health checks and
// metrics.
type Status struct {
	Topic string
	// Position is that of the last acked event, a revision for a topic that is
	// one stream; Acked says that there was one.
	Position uint64
	Acked    bool
	// Connected says that events can come, and Since when this has been as it is.
	Connected bool
	Since     time.Time
	// CaughtUp says that all events so far were acked.
	CaughtUp bool
	// Behind is for how long this has not been so.
	Behind time.Duration
	// Nacks counts the nacks in a row of the message in hand.
	Nacks int
	// Err is why the connection was lost last, nil while connected.
	Err error
}

// Status returns the state of every topic ever subscribed to, by name.
func (s *Subscriber) Status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Status, 0, len(s.topics))
	for topic, sub := range s.topics {
		all = append(all, sub.health.snapshot(topic))
	}
	slices.SortFunc(all, func(a, b Status) int { return strings.Compare(a.Topic, b.Topic) })
	return all
}

// Position returns the position of the topic's last acked event.
func (s *Subscriber) Position(topic string) (position uint64, acked bool) {
	s.mu.Lock()
	sub := s.topics[topic]
	s.mu.Unlock()
	if sub == nil {
		return 0, false
	}
	return sub.health.position()
}

// health is the state of one subscription.
type health struct {
	mu     sync.Mutex
	status Status
	// count is the number of acks.
	count int
	// live: the server has said that history is over.
	live bool
	// since is when CaughtUp was last true, or the subscription began.
	since time.Time
}

func (h *health) connected() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status.Connected, h.status.Since, h.status.Err = true, time.Now(), nil
}

func (h *health) disconnected(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.setCaughtUp(false)
	if h.status.Connected {
		h.status.Since = time.Now()
	}
	h.live, h.status.Connected, h.status.Err = false, false, err
}

func (h *health) received() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.setCaughtUp(false)
}

func (h *health) nacked() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status.Nacks++
}

func (h *health) acked(position uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count++
	h.status.Position, h.status.Acked, h.status.Nacks = position, true, 0
}

// handled says that everything taken so far is done; empty, that nothing more
// has come.
func (h *health) handled(live, empty bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.live = live
	h.setCaughtUp(live && (empty || h.status.CaughtUp))
}

func (h *health) setCaughtUp(caughtUp bool) {
	if h.status.CaughtUp && !caughtUp {
		h.since = time.Now()
	}
	h.status.CaughtUp = caughtUp
}

func (h *health) isLive() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.live
}

func (h *health) acks() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count
}

func (h *health) position() (position uint64, acked bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.status.Position, h.status.Acked
}

func (h *health) snapshot(topic string) Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	status := h.status
	status.Topic = topic
	if !status.CaughtUp {
		status.Behind = time.Since(h.since)
	}
	return status
}
