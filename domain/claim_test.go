package domain

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestClaim(t *testing.T) {
	later := noon.Add(time.Hour)
	cases := []struct {
		name  string
		given []happened
		want  Claim
	}{
		{"never claimed", nil, Claim{Revision: NoStream}},
		{"claimed", at(noon, AddressClaimed{id(1)}), Claim{Revision: 0, Holder: id(1), Held: true, ClaimedAt: noon}},
		{"taken over", history(at(noon, AddressClaimed{id(1)}), at(later, AddressClaimed{id(2)})), Claim{Revision: 1, Holder: id(2), Held: true, ClaimedAt: later}},
		{"released", history(at(noon, AddressClaimed{id(1)}), at(later, AddressReleased{id(1)})), Claim{Revision: 1, Holder: id(1), ClaimedAt: noon}},
		{"released by a former holder", history(at(noon, AddressClaimed{id(1)}, AddressClaimed{id(2)}), at(later, AddressReleased{id(1)})), Claim{Revision: 2, Holder: id(2), Held: true, ClaimedAt: noon}},
		{"claimed again", history(at(noon, AddressClaimed{id(1)}, AddressReleased{id(1)}), at(later, AddressClaimed{id(1)})), Claim{Revision: 2, Holder: id(1), Held: true, ClaimedAt: later}},
		{"released twice", at(noon, AddressClaimed{id(1)}, AddressReleased{id(1)}, AddressReleased{id(1)}), Claim{Revision: 2, Holder: id(1), ClaimedAt: noon}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.want.Stream = address
			for _, r := range record(0, c.given...) {
				if _, ok := r.Event.(AddressClaimed); ok {
					c.want.ClaimedBy = r.Metadata.CommandID
				}
			}
			if got := foldClaim(record(0, c.given...)); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

func foldClaim(history []Recorded) Claim {
	claim := NewClaim(address)
	for _, r := range history {
		claim = EvolveClaim(claim, r)
	}
	return claim
}

func TestEvolveClaimIsTotal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		history := anyHistory.Draw(t, "history")
		claim := foldClaim(history)
		if claim.Revision != int64(len(history))-1 || claim.Stream != address {
			t.Errorf("%+v after %d events", claim, len(history))
		}
		if claim.Held && claim.ClaimedAt.IsZero() {
			t.Errorf("held without having been claimed: %+v", claim)
		}
	})
}
