package projections

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"daybook/domain"
)

const (
	// comparedAtOnce is of how many accounts rows are in memory.
	comparedAtOnce = 200
	// comparedAgain is how often what differs is looked at again, caught up: a store
	// that does not tell positions of a stream's events shows some that are not in
	// the table yet.
	comparedAgain = 3
	// namedMost is how many accounts an error names.
	namedMost = 10
	// accessKept is for how long streams are sure to have sign-ins and sign-outs; logs
	// may have them for longer.
	accessKept = 399 * 24 * time.Hour
)

// Compare compares the rows of the next version with fresh folds of the streams of
// their accounts: of as many accounts as given, drawn at random, or of all with 0.
// Accounts are those that have a data key and those that have rows, so that missing
// rows differ too. ErrNotCompared names accounts that differ, by id.
func (r *Rebuild) Compare(ctx context.Context, sample int) (compared int, err error) {
	err = r.alone(ctx, func(ctx context.Context) error {
		p, err := r.start(ctx, Next)
		if err != nil {
			return err
		}
		var differ []uuid.UUID
		compared, err = r.eachPage(ctx, sample, func(accounts []uuid.UUID) error {
			found, err := r.differing(ctx, p, accounts)
			differ = append(differ, found...)
			return err
		})
		if err != nil || len(differ) == 0 {
			return err
		}
		return notCompared(differ)
	})
	return compared, err
}

func notCompared(differ []uuid.UUID) error {
	names := make([]string, 0, namedMost)
	for _, id := range differ[:min(len(differ), namedMost)] {
		names = append(names, id.String())
	}
	return fmt.Errorf("%w: %d accounts, such as %s", ErrNotCompared, len(differ), strings.Join(names, ", "))
}

// differing returns which of the accounts differ, however often one looks.
func (r *Rebuild) differing(ctx context.Context, p *Projector, accounts []uuid.UUID) ([]uuid.UUID, error) {
	for again := 0; ; again++ {
		rows, err := r.rows(ctx, p.Version, accounts)
		if err != nil {
			return nil, err
		}
		var differ []uuid.UUID
		for _, account := range accounts {
			events, err := r.events(ctx, account, p)
			if err != nil {
				return nil, err
			}
			same, err := r.View.same(account, events, rows[account])
			if err != nil {
				return nil, fmt.Errorf("compare %s: %w", account, err)
			}
			if !same {
				differ = append(differ, account)
			}
		}
		if len(differ) == 0 || again == comparedAgain {
			return differ, nil
		}
		accounts = differ
		if _, err := r.catchUp(ctx, p); err != nil {
			return nil, err
		}
	}
}

// events returns what the view is built from of the account, up to where it is.
func (r *Rebuild) events(ctx context.Context, account uuid.UUID, p *Projector) ([]domain.Recorded, error) {
	var events []domain.Stored
	for _, stream := range []string{domain.AccountStream(account), domain.AccessStream(account)} {
		if !r.View.Wants(stream) {
			continue
		}
		for e, err := range r.Stream(ctx, stream, 0) {
			if err != nil {
				return nil, err
			}
			if e.Position <= p.checkpoint.Position || e.Position == math.MaxUint64 { // not told
				events = append(events, e)
			}
		}
	}
	return p.decode(ctx, events)
}

// rows returns the rows of accounts as JSON, times in UTC.
func (r *Rebuild) rows(ctx context.Context, v Version, accounts []uuid.UUID) (map[uuid.UUID][]json.RawMessage, error) {
	found := map[uuid.UUID][]json.RawMessage{}
	err := pgx.BeginFunc(ctx, r.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL TIME ZONE 'UTC'`); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, fmt.Sprintf(`SELECT v.%[1]s, to_jsonb(v) FROM %[2]s v WHERE v.%[1]s = ANY($1)`,
			r.View.whose(), v.table(r.View)), accounts)
		if err != nil {
			return err
		}
		var account uuid.UUID
		var row json.RawMessage
		_, err = pgx.ForEachRow(rows, []any{&account, &row}, func() error {
			found[account] = append(found[account], bytes.Clone(row))
			return nil
		})
		return err
	})
	return found, err
}

// eachPage hands out accounts in the order of their ids: all, or as many as given
// from anywhere on, which is at random since ids are.
func (r *Rebuild) eachPage(ctx context.Context, sample int, take func([]uuid.UUID) error) (count int, err error) {
	var after uuid.UUID
	left, wrapped := math.MaxInt, true
	if sample > 0 {
		left, wrapped = sample, false
		for i := range after {
			after[i] = byte(rand.Uint32())
		}
	}
	began := after
	for {
		page, err := r.page(ctx, after, min(comparedAtOnce, left-count))
		if err != nil {
			return count, err
		}
		if wrapped && sample > 0 { // not beyond where it began
			page = slices.DeleteFunc(page, func(id uuid.UUID) bool { return bytes.Compare(id[:], began[:]) > 0 })
		}
		if len(page) == 0 {
			if wrapped {
				return count, nil
			}
			wrapped, after = true, uuid.UUID{}
			continue
		}
		if err := take(page); err != nil {
			return count, err
		}
		if count, after = count+len(page), page[len(page)-1]; count == left {
			return count, nil
		}
	}
}

// page returns the accounts behind one that have a data key or rows.
func (r *Rebuild) page(ctx context.Context, after uuid.UUID, limit int) ([]uuid.UUID, error) {
	page, err := r.Vault.Subjects(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	rows, err := r.Pool.Query(ctx, fmt.Sprintf(`SELECT DISTINCT %[1]s FROM %[2]s WHERE %[1]s > $1 ORDER BY 1 LIMIT $2`,
		r.View.whose(), Next.table(r.View)), after, limit)
	if err != nil {
		return nil, err
	}
	shown, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, err
	}
	page = append(page, shown...)
	slices.SortFunc(page, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	page = slices.Compact(page)
	return page[:min(len(page), limit)], nil
}

// sameRows reports whether rows of the table, as JSON, are those wanted, in any order.
// clean, when set, takes away what must not count, and says whether the row counts.
func sameRows[R any](want []R, rows []json.RawMessage, clean func(*R) bool) (bool, error) {
	got := make([]R, len(rows))
	for i, row := range rows {
		if err := json.Unmarshal(row, &got[i]); err != nil {
			return false, err
		}
	}
	wanted, err := sortedRows(want, clean)
	if err != nil {
		return false, err
	}
	shown, err := sortedRows(got, clean)
	return slices.Equal(wanted, shown), err
}

func sortedRows[R any](rows []R, clean func(*R) bool) ([]string, error) {
	texts := make([]string, 0, len(rows))
	for _, row := range rows {
		if clean != nil && !clean(&row) {
			continue
		}
		text, err := json.Marshal(row)
		if err != nil {
			return nil, err
		}
		texts = append(texts, string(text))
	}
	slices.Sort(texts)
	return texts, nil
}
