package projections

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Version is one of the tables of a view.
type Version string

// The versions: what queries read, what is being built, and what was read before
// the last switch, kept up to date by a projector of its own.
const (
	Shown    Version = ""
	Next     Version = "next"
	Previous Version = "previous"
	// swap is where the shown one is while it gives way to the previous one.
	swap Version = "swap"
)

const shownSchema = "readmodel"

func (v Version) schema() string {
	if v == Shown {
		return shownSchema
	}
	return shownSchema + "_" + string(v)
}

func (v Version) table(view View) string { return v.schema() + "." + view.Name() }

func (v Version) checkpoint(view View) string {
	name := "projection:" + view.Name()
	if v == Shown {
		return name
	}
	return name + ":" + string(v)
}

// sql turns a statement of a view, which is written for the shown tables, into one
// for the version's.
func (v Version) sql(statement string) string {
	if v == Shown {
		return statement
	}
	return strings.ReplaceAll(statement, shownSchema+".", v.schema()+".")
}

func (v Version) exists(ctx context.Context, pool *pgxpool.Pool, view View) (there bool, err error) {
	err = pool.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, v.table(view)).Scan(&there)
	return there, err
}
