package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// The roles that processes work as. Roles belong to the whole server.
const (
	RoleAPI       = "daybook_api"
	RoleProjector = "daybook_projector"
	RoleWorker    = "daybook_worker"
	// RoleVault has the schema vault alone: for a connection of its own.
	RoleVault = "daybook_vault"
	// RoleService is API, projector and worker together, for daybook serve. It makes
	// no objects either.
	RoleService = "daybook_service"
)

var roles = []string{RoleAPI, RoleProjector, RoleWorker, RoleVault, RoleService}

//go:embed roles.sql
var grants string

// grantRoles makes the roles where they are missing and grants exactly what they need.
// Where the owner of the database may not make roles, and nobody has, there are none:
// processes then work as whoever connects (see Config.Role).
func grantRoles(ctx context.Context, pool *pgxpool.Pool) error {
	for _, role := range roles {
		if err := tolerate(pool.Exec(ctx, "CREATE ROLE "+role+" NOLOGIN")); err != nil {
			return fmt.Errorf("make the role %s: %w", role, err)
		}
	}
	var made int
	if err := pool.QueryRow(ctx, `SELECT count(*) FROM pg_roles WHERE rolname = ANY($1)`, roles).Scan(&made); err != nil || made < len(roles) {
		return err
	}
	for _, member := range []string{RoleAPI, RoleProjector, RoleWorker} {
		if err := grantMembership(ctx, pool, member, RoleService); err != nil {
			return err
		}
	}
	for _, role := range roles {
		if err := grantMembership(ctx, pool, role, "CURRENT_USER"); err != nil {
			return err
		}
	}
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, grants, pgx.QueryExecModeSimpleProtocol)
		return err
	})
	if err != nil {
		return fmt.Errorf("grant the roles what they need: %w", err)
	}
	return nil
}

// grantMembership lets to work as role, if it is not allowed to yet: from PostgreSQL 16
// on, who makes a role may give it away but not take it.
func grantMembership(ctx context.Context, pool *pgxpool.Pool, role, to string) error {
	var is bool
	err := pool.QueryRow(ctx, `SELECT pg_has_role(CASE $2::text WHEN 'CURRENT_USER' THEN current_user ELSE $2::text END, $1, 'USAGE')`, role, to).Scan(&is)
	if err != nil || is {
		return err
	}
	if err := tolerate(pool.Exec(ctx, "GRANT "+role+" TO "+to)); err != nil {
		return fmt.Errorf("grant %s to %s: %w", role, to, err)
	}
	return nil
}

// tolerated are codes of what another database of the same server may have done at the
// same moment, or this owner may not do: 42710 duplicate_object, 23505 unique_violation,
// XX000 tuple concurrently updated, 42501 insufficient_privilege.
var tolerated = []string{"42710", "23505", "XX000", "42501"}

func tolerate(_ pgconn.CommandTag, err error) error {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && slices.Contains(tolerated, pgErr.Code) {
		return nil
	}
	return err
}

// workAs makes a new connection work as the role, if whoever connects may.
func workAs(role string) func(context.Context, *pgx.Conn) error {
	return func(ctx context.Context, conn *pgx.Conn) error {
		return tolerate(conn.Exec(ctx, `SELECT set_config('role', rolname, false) FROM pg_roles
			WHERE rolname = $1 AND pg_has_role(session_user, oid, 'MEMBER')`, role))
	}
}

// WorksAs tells as whom the pool works: its role, or who connects where it may not.
func WorksAs(ctx context.Context, pool *pgxpool.Pool) (role string, err error) {
	err = pool.QueryRow(ctx, `SELECT current_user`).Scan(&role)
	return role, err
}
