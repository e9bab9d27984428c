package email

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"daybook/domain"
	"daybook/internal/postgres"
	"daybook/internal/token"
)

const (
	// foldTime is what a try may take besides the conversation with the relay.
	foldTime = 15 * time.Second
	// recordAge is how long operators can see what became of a mail.
	recordAge = 7 * 24 * time.Hour
	// never is a hundred years: when what is not to run is due.
	never = 100 * 365 * 24 * time.Hour
)

// Fold returns an account as its stream says.
type Fold func(ctx context.Context, id uuid.UUID) (domain.Account, error)

// Mailer sends the mails that are in the queue. Any number of them may run over
// one database. Make it with New.
type Mailer struct {
	settings
	pool    *pgxpool.Pool
	account Fold
	tokens  *token.Maker
	sender  *sender
}

// New returns a mailer. It does no I/O. Its errors are one sentence each, naming
// the setting.
func New(config Config, pool *pgxpool.Pool, account Fold, tokens *token.Maker) (*Mailer, error) {
	understood, err := config.understand()
	if err != nil {
		return nil, err
	}
	return &Mailer{settings: understood, pool: pool, account: account, tokens: tokens,
		sender: &sender{settings: understood}}, nil
}

// Run sends mails until ctx ends; then it finishes those that are being sent,
// for at most the time that one may take, and returns nil.
func (m *Mailer) Run(ctx context.Context) error {
	defer m.sender.close()
	client, err := river.NewClient(riverpgxv5.New(m.pool), &river.Config{
		Schema: postgres.QueueSchema, Logger: m.Logger, Workers: m.workers(),
		Queues:     map[string]river.QueueConfig{Queue: {MaxWorkers: m.MaxWorkers}},
		JobTimeout: m.jobTimeout(), SoftStopTimeout: m.jobTimeout(),
		// A job that was running when its process was killed is taken up again.
		RescueStuckJobsAfter: m.jobTimeout() + foldTime,
		// Only the owner of a table may build its indexes anew; the queue is small.
		// River's own NeverSchedule lies beyond the years that slog can write.
		ReindexerSchedule:           river.PeriodicInterval(never),
		CompletedJobRetentionPeriod: recordAge, CancelledJobRetentionPeriod: recordAge,
	})
	if err != nil {
		return fmt.Errorf("prepare the mail queue: %w", err)
	}
	if err := client.Start(ctx); err != nil {
		if errors.Is(err, context.Canceled) && ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("start the mail queue: %w", err)
	}
	<-client.Stopped()
	return nil
}

func (m *Mailer) workers() *river.Workers {
	workers := river.NewWorkers()
	river.AddWorker(workers, &worker[eventJob]{mailer: m, task: eventTask})
	river.AddWorker(workers, &worker[registeredJob]{mailer: m, task: registeredTask})
	return workers
}

func (m *Mailer) jobTimeout() time.Duration { return m.Timeout + foldTime }

// compose writes the mail of a task that is true of the account.
func (m *Mailer) compose(ctx context.Context, t task, account domain.Account) (letter, error) {
	f, err := m.facts(ctx, t, account)
	if err != nil {
		return letter{}, err
	}
	l, err := render(t.mail, f)
	l.id, l.to = t.messageID().String()+"@"+m.name, t.recipient(account)
	return l, err
}

func (m *Mailer) facts(ctx context.Context, t task, account domain.Account) (facts, error) {
	f := facts{Name: greetingName(account.Profile.FirstName), Host: m.host, At: instant(t.occurredAt)}
	switch t.mail {
	case kindActivation, kindInvitation:
		activation, _ := account.Activation(t.request)
		f.Name = greetingName(activation.Names.FirstName)
		return m.withLink(ctx, f, t, domain.PurposeActivation, activation.RequestedAt, activation.ExpiresAt)
	case kindReset:
		return m.withLink(ctx, f, t, domain.PurposeReset, account.Reset.RequestedAt, account.Reset.ExpiresAt)
	case kindNewAddress:
		f.Name = "" // nobody has shown yet that the mailbox is the person's
		return m.withLink(ctx, f, t, domain.PurposeNewAddress, account.AddressChange.RequestedAt, account.AddressChange.ExpiresAt)
	case kindPasswordChanged, kindAlreadyRegistered, kindAddressChangeRequested, kindAddressChanged:
		return f, nil
	case kindNewDevice:
		var err error
		f.SignIns, f.More, err = m.signIns(ctx, t)
		return f, err
	}
	return f, fmt.Errorf("unknown mail %q", t.mail)
}

func (m *Mailer) withLink(ctx context.Context, f facts, t task, purpose domain.Purpose, from, to time.Time) (facts, error) {
	secret, err := m.tokens.Token(ctx, purpose, t.account, t.request, to)
	if err != nil {
		return f, fmt.Errorf("make the token of %s: %w", t.request, err)
	}
	f.Link, f.Minutes, f.End = link(m.PublicURL, t.mail, t.account, secret), minutes(to.Sub(from)), instant(to)
	return f, nil
}
