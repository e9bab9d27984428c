package housekeeping

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands"
	"daybook/domain"
	"daybook/internal/eventstore"
	"daybook/internal/objectstore"
	"daybook/internal/pause"
)

// Thumbnails removes pictures that no account names: superseded ones, and those
// whose command died before its event. The view tells which are named once it has
// all that was in the store when the run began; parked accounts, and those that ever
// named the picture, are folded as well.
type Thumbnails struct {
	Objects *objectstore.Store
	Pool    *pgxpool.Pool
	Client  *eventstore.Client
	Store   commands.Store
	// Checkpoint is the name of that of readmodel.accounts.
	Checkpoint string
	Age        time.Duration // of pictures that are looked at; defaults to 24 hours
	// Patience is how long a run waits for the view; defaults to 10 seconds.
	Patience time.Duration
}

const (
	thumbnailPrefix   = "thumbnails/"
	thumbnailAge      = 24 * time.Hour
	thumbnailPatience = 10 * time.Second
	maxRemoved        = 1000 // in a run
)

var errViewBehind = errors.New("the view of accounts is behind: nothing is removed")

// Task returns sweep_thumbnails, which counts the pictures that it removed.
func (t Thumbnails) Task(every time.Duration) Task {
	if t.Age == 0 {
		t.Age = thumbnailAge
	}
	if t.Patience == 0 {
		t.Patience = thumbnailPatience
	}
	return Task{Name: "sweep_thumbnails", Every: every, Run: t.run}
}

func (t Thumbnails) run(ctx context.Context) (done int, err error) {
	var page []string
	for object, err := range t.Objects.List(ctx, thumbnailPrefix) {
		if err != nil {
			return done, err
		}
		if t.old(object) {
			page = append(page, object.Key)
		}
		if len(page) < pageSize {
			continue
		}
		n, err := t.sweepPage(ctx, page)
		if done += n; err != nil || done >= maxRemoved {
			return done, err
		}
		page = page[:0]
	}
	n, err := t.sweepPage(ctx, page)
	return done + n, err
}

func (t Thumbnails) old(o objectstore.Object) bool { return time.Since(o.Modified) >= t.Age }

func (t Thumbnails) sweepPage(ctx context.Context, page []string) (done int, err error) {
	if len(page) == 0 {
		return 0, nil
	}
	if err := t.awaitView(ctx); err != nil {
		return 0, err
	}
	named, err := t.named(ctx, page)
	if err != nil {
		return 0, err
	}
	var failed failures
	for _, key := range page {
		if slices.Contains(named, key) {
			continue
		}
		removed, err := t.removeUnlessNamed(ctx, key)
		if failed.end(ctx, err) {
			break
		}
		if removed {
			done++
		}
	}
	return done, failed.err()
}

// awaitView waits until the view has what is in the store now.
func (t Thumbnails) awaitView(ctx context.Context) error {
	tail, err := t.Client.Tail(ctx)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(t.Patience); ; {
		reached, err := t.viewReached(ctx, tail)
		if reached || err != nil {
			return err
		}
		if time.Now().After(deadline) || !pause.For(ctx, 50*time.Millisecond) {
			return errViewBehind
		}
	}
}

// viewReached reports whether no account's event up to the tail is missing in the
// view. A checkpoint stands at an event of ours; the tail may be somebody else's.
func (t Thumbnails) viewReached(ctx context.Context, tail uint64) (bool, error) {
	var position int64
	if err := t.Pool.QueryRow(ctx, `SELECT position FROM app.checkpoints WHERE name = $1`, t.Checkpoint).Scan(&position); err != nil {
		return false, fmt.Errorf("read the checkpoint %s: %w", t.Checkpoint, err)
	}
	if uint64(position) >= tail {
		return true, nil
	}
	for stored, err := range t.Client.ReadAll(ctx, uint64(position)) {
		if err != nil {
			return false, err
		}
		if stored.Position > tail {
			break
		}
		if domain.IsAccountStream(stored.Stream) {
			return false, nil
		}
	}
	return true, nil
}

// named returns the keys that are named in the view, and by parked accounts, which
// the view does not show as they are.
func (t Thumbnails) named(ctx context.Context, keys []string) (named []string, err error) {
	var parked []uuid.UUID
	err = t.Pool.QueryRow(ctx, `
		SELECT ARRAY(SELECT thumbnail FROM readmodel.accounts WHERE thumbnail <> '' AND thumbnail = ANY($1)),
			ARRAY(SELECT account_id FROM app.parked_accounts WHERE projection = $2)`, keys, t.Checkpoint).Scan(&named, &parked)
	if err != nil {
		return nil, fmt.Errorf("ask which pictures are named: %w", err)
	}
	for _, id := range parked {
		account, err := t.Store.Account(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("fold the parked account %s: %w", id, err)
		}
		named = append(named, account.Profile.Thumbnail)
	}
	return named, nil
}

// removeUnlessNamed asks those who ever named the picture, and whether somebody has
// stored it anew, before it removes it.
func (t Thumbnails) removeUnlessNamed(ctx context.Context, key string) (bool, error) {
	rows, err := t.Pool.Query(ctx, `SELECT DISTINCT account_id FROM readmodel.activity
		WHERE fields ? 'thumbnail' AND fields ->> 'thumbnail' = $1`, key)
	if err != nil {
		return false, err
	}
	once, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return false, err
	}
	for _, id := range once {
		account, err := t.Store.Account(ctx, id)
		if err != nil {
			return false, fmt.Errorf("fold %s: %w", id, err)
		}
		if account.Profile.Thumbnail == key {
			return false, fmt.Errorf("account %s names a picture that the view does not: it is kept", id)
		}
	}
	for object, err := range t.Objects.List(ctx, key) {
		if err != nil {
			return false, err
		}
		if object.Key == key && !t.old(object) {
			return false, nil
		}
	}
	err = t.Objects.Remove(ctx, key)
	return err == nil, err
}
