package email

import (
	"context"
	"encoding/base64"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/testkit"
)

func TestMailer(t *testing.T) {
	t.Run("activation", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		asked := w.activation(24 * time.Hour)
		w.append(t, 0, w.registered(), asked)
		w.react(t)
		jobs, mails := w.send(t, w.config())
		if got, want := describe(jobs), `[{"State":"completed","Mail":"activation","Output":"sent","Tries":1,"Snooze":0}]`; got != want {
			t.Errorf("jobs are %s, want %s", got, want)
		}
		if len(mails) != 1 || mails[0].To[0] != w.address || mails[0].Subject != "Please, verify your account" {
			t.Fatalf("mails are %s", describe(mails))
		}
		if want := "<" + w.stored(t)[1].ID.String() + "@daybook.example>"; mails[0].MessageID != want {
			t.Errorf("Message-ID is %s, want %s", mails[0].MessageID, want)
		}
		w.checkLink(t, mails[0].Text, "/users/register/confirm/", domain.PurposeActivation, asked.ActivationID, asked.ExpiresAt)
		for _, fact := range []string{"1440 minutes", asked.ExpiresAt.Format("2 January 2006, 15:04:05 UTC")} {
			if !strings.Contains(mails[0].Text, fact) {
				t.Errorf("the text does not say %q:\n%s", fact, mails[0].Text)
			}
		}
	})

	t.Run("reset", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.activate(t)
		asked := reset(10 * time.Minute)
		w.append(t, 0, asked)
		w.react(t)
		_, mails := w.send(t, w.config())
		if len(mails) != 1 || mails[0].Subject != "Password reset instructions" {
			t.Fatalf("mails are %s", describe(mails))
		}
		w.checkLink(t, mails[0].Text, "/users/password-change/confirm/change-password/", domain.PurposeReset, asked.ResetID, asked.ExpiresAt)
	})

	t.Run("notices", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.activate(t)
		w.append(t, time.Minute, domain.PasswordChanged{CredentialID: uuid.New(), Cause: domain.CauseChange})
		w.react(t)
		w.tellRegistered(t, 3)
		_, mails := w.send(t, w.config())
		subjects := map[string]int{}
		for _, mail := range mails {
			subjects[mail.Subject]++
			if found := anyLink.FindString(mail.Text + mail.HTML); found != "" {
				t.Errorf("%q holds the link %s", mail.Subject, found)
			}
		}
		if got, want := describe(subjects), `{"You already have an account":1,"Your password was changed":1}`; got != want {
			t.Errorf("mails are %s, want %s", got, want)
		}
	})

	t.Run("each event that mails the same link again is mailed", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		asked := w.activation(time.Hour)
		w.append(t, 0, w.registered(), asked)
		w.append(t, 0, asked)
		w.react(t)
		_, mails := w.send(t, w.config())
		if len(mails) != 2 || mails[0].Text != mails[1].Text || mails[0].MessageID == mails[1].MessageID {
			t.Errorf("mails are %s, want two with one link", describe(mails))
		}
	})

	t.Run("a fold below the job's revision waits", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.append(t, 0, w.registered(), w.activation(time.Hour))
		w.react(t)
		var asked atomic.Int32
		w.run(t, w.config(), func(ctx context.Context, id uuid.UUID) (domain.Account, error) {
			if asked.Add(1) == 1 {
				return domain.NewAccount(id), nil // a node that is behind
			}
			return w.repo.Account(ctx, id)
		})
		jobs := w.finished(t)
		if got, want := describe(jobs), `[{"State":"completed","Mail":"activation","Output":"sent","Tries":1,"Snooze":1}]`; got != want {
			t.Errorf("jobs are %s, want %s", got, want)
		}
	})
}

func TestUntrueMailsAreSkipped(t *testing.T) {
	used := uuid.New()
	cases := []struct {
		name  string
		build func(t *testing.T, w *world)
		want  []string // outcomes in the order of the events
	}{
		{"activated already", func(t *testing.T, w *world) {
			asked := w.activation(time.Hour)
			w.append(t, 0, w.registered(), asked)
			w.append(t, 0, domain.AccountActivated{ActivationID: asked.ActivationID, CredentialID: asked.CredentialID})
		}, []string{"skipped not pending"}},
		{"activation expired", func(t *testing.T, w *world) {
			w.append(t, 2*time.Hour, w.registered(), w.activation(-time.Hour))
		}, []string{"skipped expired"}},
		{"registration expired", func(t *testing.T, w *world) {
			w.append(t, 0, w.registered(), w.activation(time.Hour))
			w.append(t, 0, domain.RegistrationExpired{Reason: "test"})
		}, []string{"skipped not pending"}},
		{"reset superseded", func(t *testing.T, w *world) {
			w.activate(t)
			w.append(t, 0, reset(time.Hour))
			w.append(t, 0, reset(time.Hour))
		}, []string{"skipped superseded", "sent"}},
		{"reset used", func(t *testing.T, w *world) {
			w.activate(t)
			w.append(t, 0, domain.ResetRequested{ResetID: used, ExpiresAt: in(time.Hour)})
			w.append(t, 0, domain.PasswordChanged{CredentialID: uuid.New(), Cause: domain.CauseReset, ResetID: &used})
		}, []string{"skipped used", "sent"}},
		{"reset expired", func(t *testing.T, w *world) {
			w.activate(t)
			w.append(t, 2*time.Hour, reset(-time.Hour))
		}, []string{"skipped expired"}},
		{"account deactivated", func(t *testing.T, w *world) {
			w.activate(t)
			w.append(t, 0, reset(time.Hour))
			w.append(t, 0, domain.AccountDeactivated{Reason: "test"})
		}, []string{"skipped not active"}},
		{"notice too old", func(t *testing.T, w *world) {
			w.activate(t)
			w.append(t, 25*time.Hour, domain.PasswordChanged{CredentialID: uuid.New(), Cause: domain.CauseChange})
		}, []string{"skipped expired"}},
		{"erased", func(t *testing.T, w *world) {
			w.append(t, 0, w.registered(), w.activation(time.Hour))
			w.erase(t)
		}, []string{"skipped erased"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.build(t, w)
			w.react(t)
			jobs, mails := w.send(t, w.config())
			var outcomes []string
			var sent int
			for _, j := range jobs {
				outcomes = append(outcomes, j.Output)
				if j.Output == "sent" {
					sent++
				}
			}
			if describe(outcomes) != describe(c.want) {
				t.Errorf("outcomes are %s, want %s", describe(outcomes), describe(c.want))
			}
			if len(mails) != sent {
				t.Errorf("%d mails were sent, want %d", len(mails), sent)
			}
		})
	}
}

func TestUntrueByFold(t *testing.T) {
	now := time.Now()
	request := uuid.New()
	pending := domain.Account{Status: domain.StatusPending, Email: "a@b.example", Activations: []domain.Activation{
		{ID: request, MailedAt: now, ExpiresAt: now.Add(time.Hour)},
	}}
	active := domain.Account{Status: domain.StatusActive, Email: "a@b.example", MailedAt: []time.Time{now},
		Reset: domain.Reset{ID: request, ExpiresAt: now.Add(time.Hour)}}
	late := now.Add(-time.Minute)
	cases := []struct {
		name    string
		task    task
		account domain.Account
		want    string
	}{
		{"another request's link", task{mail: kindActivation, request: uuid.New()}, pending, unknownRequest},
		{"asked again, first try", task{mail: kindActivation, request: request, occurredAt: late, attempt: 1}, pending, ""},
		{"asked again, late try", task{mail: kindActivation, request: request, occurredAt: late, attempt: 2}, pending, askedAgain},
		{"late try of the newest", task{mail: kindActivation, request: request, occurredAt: now, attempt: 9}, pending, ""},
		{"reset asked again, late try", task{mail: kindReset, request: request, occurredAt: late, attempt: 2}, active, askedAgain},
		{"taken address, not active", task{mail: kindAlreadyRegistered}, pending, notActive},
	}
	for _, c := range cases {
		c.task.until = now.Add(time.Hour)
		if got := untrue(c.task, c.account, now); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestAlreadyRegistered(t *testing.T) {
	w := newWorld(t)
	w.activate(t)
	w.tellRegistered(t, 2)
	if jobs := w.jobs(t); len(jobs) != 1 {
		t.Errorf("two calls made %s, want one job", describe(jobs))
	}
	// The hour is any hour, not one of the clock, and then it is over.
	for minutes, want := range map[int]int{59: 1, 61: 2} {
		if _, err := w.pool.Exec(t.Context(), `UPDATE app.river_job SET unique_key = NULL, created_at = now() - make_interval(mins => $1)
			WHERE id = (SELECT min(id) FROM app.river_job)`, minutes); err != nil {
			t.Fatal(err)
		}
		if _, err := w.pool.Exec(t.Context(), `DELETE FROM app.river_job WHERE id > (SELECT min(id) FROM app.river_job)`); err != nil {
			t.Fatal(err)
		}
		w.tellRegistered(t, 1)
		if jobs := w.jobs(t); len(jobs) != want {
			t.Errorf("after %d minutes there are %s, want %d", minutes, describe(jobs), want)
		}
	}
}

func (w *world) tellRegistered(t *testing.T, times int) {
	t.Helper()
	notices, err := NewNotices(w.pool, w.logger())
	if err != nil {
		t.Fatal(err)
	}
	account, err := w.repo.Account(t.Context(), w.account)
	if err != nil {
		t.Fatal(err)
	}
	for range times {
		if err := notices.AlreadyRegistered(t.Context(), account); err != nil {
			t.Fatal(err)
		}
	}
}

// erase destroys the key as an erasure does, after the reactor has seen the
// events, and forgets what is cached.
func (w *world) erase(t *testing.T) {
	t.Helper()
	w.react(t)
	if _, err := w.pool.Exec(t.Context(), `INSERT INTO vault.erased_subjects (subject) VALUES ($1)`, w.account); err != nil {
		t.Fatal(err)
	}
	if _, err := w.pool.Exec(t.Context(), `DELETE FROM vault.data_keys WHERE subject = $1`, w.account); err != nil {
		t.Fatal(err)
	}
	fresh := testkit.Repository(t, w.pool)
	w.repo.Vault, w.tokens.Vault = fresh.Vault, fresh.Vault
}

// checkLink finds the one link in a text and proves that its token is right.
func (w *world) checkLink(t *testing.T, text, path string, purpose domain.Purpose, request uuid.UUID, expires time.Time) {
	t.Helper()
	links := anyLink.FindAllStringSubmatch(text, -1)
	if len(links) != 1 {
		t.Fatalf("there are %d links in\n%s", len(links), text)
	}
	parsed, err := url.Parse(links[0][0])
	if err != nil || !strings.HasPrefix(parsed.Path, path) || strings.Count(strings.TrimPrefix(parsed.Path, path), "/") != 2 {
		t.Errorf("the link is %s, want %s%s<uidb64>/<token>/", links[0][0], publicURL, path)
	}
	if id, err := base64.RawURLEncoding.DecodeString(links[0][1]); err != nil || string(id) != w.account.String() {
		t.Errorf("the link is for %q, %v", id, err)
	}
	ok, err := w.tokens.Matches(t.Context(), links[0][2], purpose, w.account, request, expires)
	if err != nil || !ok {
		t.Errorf("the token does not match (%v)", err)
	}
}
