package domain

import (
	"time"

	"github.com/google/uuid"
)

// Claim is the fold of an address stream: an index of who may use the address.
// The account's own stream decides whether it really does.
type Claim struct {
	Stream string
	// Canonical is the address that the claim was looked for by; empty when it was
	// looked for by name. There may be other claims of it, under other keys.
	Canonical string
	Revision  int64 // of the last event; NoStream when there is none
	Holder    uuid.UUID
	Held      bool
	ClaimedAt time.Time
	ClaimedBy uuid.UUID // command that claimed it last
}

// NewClaim returns the claim before its first event.
func NewClaim(stream string) Claim { return Claim{Stream: stream, Revision: NoStream} }

// Owns reports whether the account owns the claim's address: the claim is only an
// index, the account decides.
func (a Account) Owns(c Claim) bool { return a.OwnsAddress() && a.Has(c) }

// Keeps reports whether the account owns the claim's address and gives way to nobody.
// A registration that never proved the mailbox gives way to who has, unless an
// operator has opened it for somebody.
func (a Account) Keeps(c Claim) bool { return a.Owns(c) && !a.yields() }

func (a Account) yields() bool { return a.Status == StatusPending && !a.Staff }

// EvolveClaim folds one event into the claim.
func EvolveClaim(c Claim, r Recorded) Claim {
	c.Revision = r.Revision
	switch e := r.Event.(type) {
	case AddressClaimed:
		c.Holder, c.Held, c.ClaimedAt, c.ClaimedBy = e.AccountID, true, r.Metadata.OccurredAt, r.Metadata.CommandID
	case AddressReleased:
		c.Held = c.Held && c.Holder != e.AccountID
	}
	return c
}
