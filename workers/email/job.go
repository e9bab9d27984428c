package email

import (
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"daybook/domain"
)

// Queue is the name of the job queue that holds mails to send.
const Queue = "email"

// kind says what a mail is about. The values are kept in jobs.
type kind string

const (
	kindActivation        kind = "activation"
	kindReset             kind = "reset"
	kindPasswordChanged   kind = "password_changed"
	kindAlreadyRegistered kind = "already_registered"
	kindNewDevice         kind = "new_device"
	kindInvitation        kind = "invitation"
	kindErased            kind = "erased"
	// The link goes to the new address, the two notices to the former one.
	kindNewAddress             kind = "new_address"
	kindAddressChangeRequested kind = "address_change_requested"
	kindAddressChanged         kind = "address_changed"
)

const (
	// noticeAge is the greatest age of a mail without a link.
	noticeAge = 24 * time.Hour
	// noticeInterval is how often a person is told that the address is taken.
	noticeInterval = time.Hour
	// maxAttempts is out of reach: the age of a mail limits its tries.
	maxAttempts = 1000
)

// eventJob asks for the mail of an event. It is in a table that operators read,
// so it holds nothing personal and nothing secret.
type eventJob struct {
	EventID uuid.UUID `json:"event_id" river:"unique"`
	Account uuid.UUID `json:"account"`
	// Revision is that of the event in the account's stream, and domain.NoStream
	// for an event of another stream.
	Revision int64 `json:"revision"`
	Mail     kind  `json:"mail" river:"unique"`
	// Request is the activation, reset or change of address that the mail is about.
	Request    uuid.UUID `json:"request"`
	OccurredAt time.Time `json:"occurred_at"`
	Until      time.Time `json:"until"` // the mail is untrue from then on
	// Traceparent is the event's (W3C Trace Context), empty when it has none.
	Traceparent string `json:"traceparent,omitempty"`
}

// Kind names the job type in the queue.
func (eventJob) Kind() string { return "email" }

// InsertOpts makes each job of the event unique, whatever has become of it.
func (eventJob) InsertOpts() river.InsertOpts {
	return river.InsertOpts{
		Queue: Queue, MaxAttempts: maxAttempts,
		UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: rivertype.JobStates()},
	}
}

// registeredJob asks for the mail "you already have an account", of which there
// is no event.
type registeredJob struct {
	Account uuid.UUID `json:"account" river:"unique"`
}

// Kind names the job type in the queue.
func (registeredJob) Kind() string { return "email_already_registered" }

// InsertOpts makes the job unique per account and hour.
func (registeredJob) InsertOpts() river.InsertOpts {
	return river.InsertOpts{
		Queue: Queue, MaxAttempts: maxAttempts,
		UniqueOpts: river.UniqueOpts{ByArgs: true, ByPeriod: noticeInterval, ByState: rivertype.JobStates()},
	}
}

// task is either job in one shape.
type task struct {
	id         uuid.UUID // stable over retries
	account    uuid.UUID
	revision   int64
	mail       kind
	request    uuid.UUID
	occurredAt time.Time
	until      time.Time
	attempt    int
	// traceparent names what asked for the mail.
	traceparent string
}

func eventTask(job *river.Job[eventJob]) task {
	return task{
		id: job.Args.EventID, account: job.Args.Account, revision: job.Args.Revision, mail: job.Args.Mail,
		request: job.Args.Request, occurredAt: job.Args.OccurredAt, until: job.Args.Until, attempt: job.Attempt, traceparent: job.Args.Traceparent,
	}
}

func registeredTask(job *river.Job[registeredJob]) task {
	return task{
		id:      uuid.NewSHA1(job.Args.Account, []byte(job.CreatedAt.UTC().Format(time.RFC3339Nano))),
		account: job.Args.Account, mail: kindAlreadyRegistered,
		occurredAt: job.CreatedAt, until: job.CreatedAt.Add(noticeAge), attempt: job.Attempt,
	}
}

// messageID is stable over retries. Of the two mails of a request for a change of
// address, the link has the event's id.
func (t task) messageID() uuid.UUID {
	if t.mail == kindAddressChangeRequested {
		return uuid.NewSHA1(t.id, []byte(t.mail))
	}
	return t.id
}

// recipient is who gets the mail. What tells of a change goes to the address that
// was the account's before: who made the change may have given it another since.
func (t task) recipient(a domain.Account) string {
	switch t.mail {
	case kindNewAddress:
		return a.AddressChange.Email
	case kindAddressChanged:
		return a.EmailAt(t.revision - 1)
	case kindAddressChangeRequested, kindPasswordChanged:
		return a.EmailAt(t.revision)
	}
	return a.Email
}

func (t task) sending() Sending {
	s := Sending{Mail: string(t.mail), Account: t.account, Traceparent: t.traceparent}
	if t.mail != kindAlreadyRegistered {
		s.Event = t.id
	}
	return s
}

// idAttr names the mail in the log, by its event if it has one: the line of the
// command names the same.
func (t task) idAttr() slog.Attr {
	if t.mail == kindAlreadyRegistered {
		return slog.String("notice_id", t.id.String())
	}
	return slog.String("event_id", t.id.String())
}
