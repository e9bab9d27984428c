package commands_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain"
)

// unwritable is a store that takes nothing more.
type unwritable struct{ commands.Store }

var errUnwritable = errors.New("no answer")

func (unwritable) Append(context.Context, domain.Append) ([]domain.Recorded, error) {
	return nil, errUnwritable
}

// amnesiac writes, but its first answer gets lost.
type amnesiac struct {
	commands.Store
	lost bool
}

func (s *amnesiac) Append(ctx context.Context, a domain.Append) ([]domain.Recorded, error) {
	recorded, err := s.Store.Append(ctx, a)
	if err == nil && !s.lost {
		s.lost = true
		return nil, errUnwritable
	}
	return recorded, err
}

// commandsToRepeat runs each command, ready to be run again.
func commandsToRepeat(w *world) map[string]func(h *commands.Handler, c commands.Caller) (any, error) {
	ctx := w.t.Context()
	pending := w.pending("pending@example.com")
	pendingToken := w.activationToken(pending, 0)
	changing := w.active("changing@example.com")
	session := w.in("changing@example.com", secret)
	profile := w.active("profile@example.com")
	w.active("asking@example.com")
	w.active("resetting@example.com")
	w.pending("again@example.com")
	w.pending("mail@example.com")
	w.clock.advance(domain.ActivationMailInterval)
	resetting, second := w.secondToken("resetting@example.com")
	w.active("moving@example.com")
	moving, movingToken := w.askAddress(w.in("moving@example.com", secret), "moved@example.com")
	wanting := w.active("wanting@example.com")
	return map[string]func(h *commands.Handler, c commands.Caller) (any, error){
		"RequestAddressChange": func(h *commands.Handler, c commands.Caller) (any, error) {
			result, err := h.RequestAddressChange(ctx, c, wanting.ID, commands.RequestAddressChange{Email: "wanted@example.com", Password: secret})
			return result.Account.Email, err
		},
		"ChangeAddress": func(h *commands.Handler, c commands.Caller) (any, error) {
			result, err := h.ChangeAddress(ctx, c, moving.ID, movingToken)
			return result.Account.Email, err
		},
		"Register": func(h *commands.Handler, c commands.Caller) (any, error) {
			return nil, h.Register(ctx, c, registration("new@example.com"))
		},
		"Register again": func(h *commands.Handler, c commands.Caller) (any, error) {
			return nil, h.Register(ctx, c, registration("again@example.com"))
		},
		"Activate": func(h *commands.Handler, c commands.Caller) (any, error) {
			result, err := h.Activate(ctx, c, pending.ID, pendingToken)
			return result.Account.Profile, err
		},
		"UpdateProfile": func(h *commands.Handler, c commands.Caller) (any, error) {
			version := profile.Version
			result, err := h.UpdateProfile(ctx, c, profile.ID, commands.UpdateProfile{
				FirstName: new("Other"), IfVersion: &version,
				Thumbnail: &commands.Thumbnail{ContentType: "image/png", Body: []byte("picture")},
			})
			return result.Account.Profile, err
		},
		"RequestReset": func(h *commands.Handler, c commands.Caller) (any, error) {
			return nil, h.RequestReset(ctx, c, "asking@example.com")
		},
		"RequestActivation": func(h *commands.Handler, c commands.Caller) (any, error) {
			return nil, h.RequestActivation(ctx, c, "mail@example.com")
		},
		"ResetPassword": func(h *commands.Handler, c commands.Caller) (any, error) {
			return nil, h.ResetPassword(ctx, c, resetting.ID, second, newWords)
		},
		"ChangePassword": func(h *commands.Handler, c commands.Caller) (any, error) {
			result, err := h.ChangePassword(ctx, c, changing.ID, session.Session, secret, newWords)
			return result.Account.Profile, err
		},
	}
}

// TestRepeatedCommands: the same command id appends once and answers the same.
func TestRepeatedCommands(t *testing.T) {
	w := newWorld(t)
	for name, run := range commandsToRepeat(w) {
		t.Run(name, func(t *testing.T) {
			c := caller()
			first, err := run(w.Handler, c)
			must(t, err)
			tail := w.tail()
			again, err := run(w.Handler, c)
			if err != nil || again != first {
				t.Errorf("the second answer is %v, %v; the first was %v", again, err, first)
			}
			if w.tail() != tail {
				t.Error("appended twice")
			}
		})
	}
}

// TestUnknownOutcome: the event was written, its answer got lost, the caller
// repeats the command.
func TestUnknownOutcome(t *testing.T) {
	w := newWorld(t)
	for name, run := range commandsToRepeat(w) {
		t.Run(name, func(t *testing.T) {
			c := caller()
			h := w.another()
			h.Store = &amnesiac{Store: w.repository}
			_, err := run(h, c)
			want(t, err, errUnwritable)
			if _, err := run(w.Handler, c); err != nil {
				t.Errorf("repeated: %v", err)
			}
			tail := w.tail()
			if _, err := run(w.Handler, c); err != nil || w.tail() != tail {
				t.Errorf("once more: %v, from %d to %d", err, tail, w.tail())
			}
		})
	}
}

func (w *world) tail() uint64 {
	w.t.Helper()
	tail, err := w.client.Tail(w.t.Context())
	must(w.t, err)
	return tail
}

// TestRegisterRepeatedAfterActivation: the answer stays what it was, although
// the address has an owner by now.
func TestRegisterRepeatedAfterActivation(t *testing.T) {
	w := newWorld(t)
	first := w.pending(ada)
	w.clock.advance(domain.ActivationMailInterval)
	c := caller()
	must(t, w.Register(t.Context(), c, registration(ada)))
	_, err := w.Activate(t.Context(), caller(), first.ID, w.activationToken(first, 0))
	must(t, err)
	must(t, w.Register(t.Context(), c, registration(ada)))
	if w.notices.sent.Load() != 0 {
		t.Fatal("the owner got a notice of the own registration")
	}
}

// TestResetRepeatedAfterTheNext: its reset is not the newest any more.
func TestResetRepeatedAfterTheNext(t *testing.T) {
	w := newWorld(t)
	account := w.active(ada)
	_, second := w.secondToken(ada)
	c := caller()
	must(t, w.ResetPassword(t.Context(), c, account.ID, second, newWords))
	w.secondToken(ada)
	must(t, w.ResetPassword(t.Context(), c, account.ID, second, newWords))
	want(t, w.ResetPassword(t.Context(), caller(), account.ID, second, newWords), domain.ErrResetInvalid)
}

// TestChangePasswordRepeatedAfterReset must not bring a session back to life
// that the reset has ended, and must not end one that the reset's owner opened.
func TestChangePasswordRepeatedAfterReset(t *testing.T) {
	w := newWorld(t)
	account := w.active(ada)
	in := w.in(ada, secret)
	c := caller()
	_, err := w.ChangePassword(t.Context(), c, account.ID, in.Session, secret, newWords)
	must(t, err)
	later := w.in(ada, newWords)
	_, err = w.ChangePassword(t.Context(), c, account.ID, in.Session, secret, newWords)
	must(t, err)
	if !w.valid(later) {
		t.Error("a session opened with the new password was ended by the repetition")
	}
	_, second := w.secondToken(ada)
	must(t, w.ResetPassword(t.Context(), caller(), account.ID, second, "yetAnother789"))
	owner := w.in(ada, "yetAnother789")
	_, err = w.ChangePassword(t.Context(), c, account.ID, in.Session, secret, newWords)
	must(t, err)
	if w.valid(in) || w.valid(later) {
		t.Error("a session that the reset had ended works again")
	}
	if !w.valid(owner) {
		t.Error("the owner's session was ended")
	}
}

// TestUnknownAccounts get the common refusals, never a failure.
func TestUnknownAccounts(t *testing.T) {
	w := newWorld(t)
	nobody := uuid.New()
	_, err := w.ChangePassword(t.Context(), caller(), nobody, uuid.New(), secret, newWords)
	if _, ok := errors.AsType[*domain.Error](err); !ok {
		t.Errorf("change: %v", err)
	}
	_, err = w.OpenResetLink(t.Context(), caller(), nobody, "token")
	want(t, err, domain.ErrResetInvalid)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	cancel()
	if err := w.Register(ctx, caller(), registration(ada)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
