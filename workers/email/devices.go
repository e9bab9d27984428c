package email

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"daybook/domain"
	"daybook/internal/device"
	"daybook/internal/vault"
)

const (
	// devicesKept bounds the devices of one account.
	devicesKept = 20
	// devicesTold bounds those that one mail names.
	devicesTold = 5
	// devicesAge is for how long an unused device is known, as long as a sign-in is
	// in the log.
	devicesAge = 400 * 24 * time.Hour
	// devicesPurged bounds the rows that one statement deletes and locks.
	devicesPurged = 1000
)

// Devices notices sign-ins from devices that are new to their account. Its fields
// are set once.
type Devices struct {
	Vault *vault.Vault // opens what the sign-in came from
	Key   []byte       // keys the marks of devices; 32 bytes
}

// note remembers the device of a sign-in, in the transaction of the checkpoint, and
// returns when the mail is due that it asks for. The account's first device asks
// for none, and neither does what came from nowhere or from an erased person.
func (d *Devices) note(ctx context.Context, tx pgx.Tx, event domain.Stored, account uuid.UUID, from domain.Personal[domain.Origin]) (due *time.Time, err error) {
	if from.Erased {
		return nil, nil
	}
	mark := device.Mark(d.Key, account, from.Value.UserAgent, from.Value.ClientAddress)
	err = tx.QueryRow(ctx, `SELECT app.note_device($1, $2, $3, $4, $5, $6)`,
		account, mark, event.Revision, event.ID, noticeInterval, devicesKept).Scan(&due)
	if err != nil {
		return nil, fmt.Errorf("note a device: %w", err)
	}
	return due, nil
}

// signIn decodes the event of a sign-in; ok is false for any other. A key that is
// lost is no reason to stop all mails: such a sign-in came from nowhere.
func (d *Devices) signIn(ctx context.Context, event domain.Stored) (account uuid.UUID, in domain.Recorded, ok bool, err error) {
	if d == nil || event.Type != domain.NameOf(domain.SignedIn{}) {
		return uuid.Nil, in, false, nil
	}
	account, ok = domain.StreamSubject(event.Stream)
	if !ok {
		return uuid.Nil, in, false, nil
	}
	recorded, err := d.Vault.Decode(ctx, event)
	if errors.Is(err, vault.ErrKeyLost) {
		return uuid.Nil, in, false, nil
	}
	if err != nil {
		return uuid.Nil, in, false, err
	}
	return account, recorded[0], true, nil
}

// reactToSignIn notes the device and inserts the job, if one is asked for, with the
// checkpoint: all or nothing.
func (r *Reactor) reactToSignIn(ctx context.Context, event domain.Stored, account uuid.UUID, in domain.Recorded) error {
	moved := r.checkpoint
	err := pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) (err error) {
		if moved, err = r.checkpoint.AdvanceIn(ctx, tx, event.Position, 1); err != nil {
			return err
		}
		due, err := r.Devices.note(ctx, tx, event, account, in.Event.(domain.SignedIn).Personal)
		if err != nil || due == nil {
			return err
		}
		var options river.InsertOpts
		if due.After(time.Now()) {
			options.ScheduledAt = *due // else the queue would wait for its clock
		}
		_, err = r.queue.InsertTx(ctx, tx, deviceJob(event, account, in), &options)
		return err
	})
	if err != nil {
		return err
	}
	r.checkpoint = moved
	return nil
}

func deviceJob(event domain.Stored, account uuid.UUID, in domain.Recorded) eventJob {
	at := in.Metadata.OccurredAt
	return eventJob{
		EventID: event.ID, Account: account, Revision: domain.NoStream, Mail: kindNewDevice,
		OccurredAt: at, Until: at.Add(noticeAge), Traceparent: in.Metadata.Traceparent,
	}
}

// signInFacts are what a mail tells of a sign-in.
type signInFacts struct{ At, Device, Address string }

// signIns returns what the mail of the task tells of: the newest sign-ins that
// asked for it, and how many more did.
func (m *Mailer) signIns(ctx context.Context, t task) (told []signInFacts, more int, err error) {
	rows, err := m.pool.Query(ctx, `SELECT revision FROM app.devices WHERE account_id = $1 AND notice = $2 ORDER BY revision DESC`, t.account, t.id)
	if err != nil {
		return nil, 0, err
	}
	revisions, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, 0, fmt.Errorf("find the devices: %w", err)
	}
	for i, revision := range revisions {
		if i == devicesTold {
			return told, len(revisions) - i, nil
		}
		recorded, err := m.Access(ctx, t.account, revision)
		if err != nil {
			return nil, 0, fmt.Errorf("read sign-in %d of %s: %w", revision, t.account, err)
		}
		in, ok := recorded.Event.(domain.SignedIn)
		if !ok || in.Personal.Erased {
			return nil, 0, domain.ErrErased
		}
		told = append(told, signInFacts{
			At: instant(recorded.Metadata.OccurredAt), Device: device.Name(in.Personal.Value.UserAgent), Address: in.Personal.Value.ClientAddress,
		})
	}
	if len(told) == 0 { // a device is forgotten this soon with its person only
		return nil, 0, domain.ErrErased
	}
	return told, 0, nil
}

// PurgeDevices forgets, of at most 1,000 at a time, devices that were not used for
// 400 days, but each account's newest, without which the next sign-in would pass for
// the first; and every device of an erased person. It returns how many. The vault
// may be the same database.
func PurgeDevices(ctx context.Context, pool, vaultPool *pgxpool.Pool) (int64, error) {
	rows, err := vaultPool.Query(ctx, `SELECT subject FROM vault.erased_subjects WHERE erased_at > now() - interval '7 days'`)
	if err != nil {
		return 0, err
	}
	erased, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return 0, err
	}
	tag, err := pool.Exec(ctx, `
		DELETE FROM app.devices WHERE (account_id, mark) IN (
			SELECT account_id, mark FROM app.devices d WHERE account_id = ANY($1)
				OR last_seen_at < now() - $2::interval
					AND EXISTS (SELECT FROM app.devices n WHERE n.account_id = d.account_id AND n.last_seen_at > d.last_seen_at)
			LIMIT $3)`, erased, devicesAge, devicesPurged)
	return tag.RowsAffected(), err
}
