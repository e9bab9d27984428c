package email

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/riverqueue/river"

	"daybook/domain"
)

// foldPause is before an account is folded again that was not yet where the job
// was made.
const foldPause = time.Second

// worker sends the mails of one type of job.
type worker[J river.JobArgs] struct {
	river.WorkerDefaults[J]
	mailer *Mailer
	task   func(*river.Job[J]) task
}

// Work sends the mail or records why not.
func (w *worker[J]) Work(ctx context.Context, job *river.Job[J]) error {
	t := w.task(job)
	ctx, end := w.mailer.Observe(ctx, t.sending())
	result, err := w.mailer.deliver(ctx, t)
	end(cmp.Or(result.Outcome, "retried"))
	return w.mailer.record(ctx, t, result, err)
}

// NextRetry is when a failed mail is tried again, at the latest when it becomes
// untrue, so that this is recorded in time.
func (w *worker[J]) NextRetry(job *river.Job[J]) time.Time {
	t, now := w.task(job), time.Now()
	longest := max(w.mailer.FirstPause, min(15*time.Minute, t.until.Sub(t.occurredAt)/10))
	next := now.Add(pause(w.mailer.FirstPause, longest, len(job.Errors)))
	if next.After(t.until) && t.until.After(now) {
		return t.until
	}
	return next
}

// Timeout bounds one try.
func (w *worker[J]) Timeout(*river.Job[J]) time.Duration { return w.mailer.jobTimeout() }

// pause doubles with each failure. Half of it is chance, so that after an outage
// the relay does not get everything at once.
func pause(first, longest time.Duration, failures int) time.Duration {
	whole := min(longest, first<<min(failures, 16))
	return whole/2 + rand.N(whole/2+1)
}

// output is what becomes of a job, kept in its metadata.
type output struct {
	Outcome string `json:"outcome"` // sent, skipped, failed
	Reason  string `json:"reason,omitempty"`
}

var (
	sent      = output{Outcome: "sent"}
	undecided = output{}
)

// deliver sends the mail of the task if it is still true. An error without an
// outcome means: try again.
func (m *Mailer) deliver(ctx context.Context, t task) (output, error) {
	if !time.Now().Before(t.until) {
		return skipped(expired), nil
	}
	if t.mail == kindErased {
		return m.bidFarewell(ctx, t)
	}
	account, err := m.account(ctx, t.account)
	if err != nil {
		return undecided, fmt.Errorf("fold %s: %w", t.account, err)
	}
	if account.Revision < t.revision {
		return undecided, river.JobSnooze(foldPause)
	}
	reason := untrue(t, account, time.Now())
	if reason == "" {
		reason, err = m.taken(ctx, t, account)
	}
	if err != nil {
		return undecided, fmt.Errorf("look who has the address: %w", err)
	}
	if reason != "" {
		return skipped(reason), nil
	}
	l, err := m.compose(ctx, t, account)
	if errors.Is(err, domain.ErrErased) {
		return skipped(erased), nil
	}
	if err == nil {
		err = m.sender.send(ctx, l)
	}
	return outcome(err), err
}

func skipped(reason string) output { return output{"skipped", reason} }

func outcome(err error) output {
	reply, refused := errors.AsType[*replyError](err)
	switch {
	case err == nil:
		return sent
	case errors.Is(err, errRecipient), refused && reply.final:
		return output{"failed", err.Error()}
	}
	return undecided
}

// record keeps the outcome with the job and in the log, by ids.
func (m *Mailer) record(ctx context.Context, t task, result output, err error) error {
	log := m.Logger.With(slog.String("mail", string(t.mail)), t.idAttr(),
		slog.String("account", t.account.String()), slog.Int("attempt", t.attempt))
	if result == undecided {
		if _, snoozed := errors.AsType[*river.JobSnoozeError](err); !snoozed {
			log.WarnContext(ctx, "mail not sent yet", slog.Any("error", err))
		}
		return err
	}
	if err := river.RecordOutput(ctx, result); err != nil {
		return fmt.Errorf("record the outcome: %w", err)
	}
	if err != nil {
		log.ErrorContext(ctx, "mail refused", slog.Any("error", err))
		return river.JobCancel(err)
	}
	log.InfoContext(ctx, "mail "+result.Outcome, slog.String("reason", result.Reason))
	return nil
}
