package domain

import "time"

// Decider is a command on one account. Decide is pure and idempotent: decided
// again after its own events, it appends nothing or refuses.
type Decider interface {
	Decide(a Account, now time.Time) ([]Event, error)
}
