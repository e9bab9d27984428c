package projections

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"daybook/domain"
	"daybook/internal/postgres"
	"daybook/workers/email"
)

// figures are a row of an analytics view by column, without its day.
type figures map[string]any

// table of figures by day or week.
type figuresByDay map[string]figures

func (f figuresByDay) of(day string) figures {
	if f[day] == nil {
		f[day] = figures{}
	}
	return f[day]
}

func (f figures) add(column string, n int) {
	sum, _ := f[column].(float64)
	f[column] = sum + float64(n)
}

func day(at time.Time) string { return at.UTC().Format(time.DateOnly) }

func monday(at time.Time) string {
	at = at.UTC()
	return day(at.AddDate(0, 0, -(int(at.Weekday())+6)%7))
}

// TestAnalyticsAreARecountOfTheLog.
func TestAnalyticsAreARecountOfTheLog(t *testing.T) {
	w := newWorld(t)
	rapid.Check(t, func(r *rapid.T) {
		log := w.project(r, w.tell(r, 60))
		now := time.Now()
		for view, want := range map[string]figuresByDay{
			"sign_ups_per_day":         countSignUps(log),
			"activations_per_day":      countActivations(log),
			"sign_ins_per_day":         countSignIns(log),
			"active_accounts_per_day":  countActive(log, day),
			"active_accounts_per_week": countActive(log, monday),
			"resets_per_day":           countFunnel(log, now),
		} {
			if diff := cmp.Diff(want, w.figures(r, view), cmpopts.EquateApprox(1e-9, 1e-6)); diff != "" {
				r.Errorf("%s (-log +view):\n%s", view, diff)
			}
		}
	})
}

// project fills all views anew from the events.
func (w *world) project(t failer, events []domain.Stored) []domain.Recorded {
	t.Helper()
	for _, v := range viewChecks {
		w.reset(t, v.view, 0)
		apply(t, w, w.projector(t, v.view), events)
	}
	return w.recorded(t, events)
}

func (w *world) figures(t failer, view string) figuresByDay {
	t.Helper()
	found := figuresByDay{}
	for _, row := range w.analytics(t, view) {
		var columns figures
		if err := json.Unmarshal([]byte(row), &columns); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"day", "week"} {
			if date, ok := columns[key].(string); ok {
				delete(columns, key)
				found[date] = columns
			}
		}
	}
	return found
}

func (w *world) analytics(t failer, view string) []string {
	t.Helper()
	rows, err := w.pool.Query(w.ctx, `SELECT to_jsonb(v)::text FROM analytics.`+pgx.Identifier{view}.Sanitize()+` v`)
	if err != nil {
		t.Fatal(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// counted makes sure that a column is there when nothing was counted.
func counted(days figuresByDay, columns ...string) figuresByDay {
	for _, row := range days {
		for _, column := range columns {
			row.add(column, 0)
		}
	}
	return days
}

func countSignUps(log []domain.Recorded) figuresByDay {
	days := figuresByDay{}
	for _, one := range countRegistrations(log) {
		if one.RegisteredAt == nil {
			continue
		}
		row, fate := days.of(day(*one.RegisteredAt)), "pending"
		if one.ActivatedAt != nil {
			fate = "activated"
		} else if one.ExpiredAt != nil {
			fate = "expired"
		} else if one.ErasedAt != nil {
			fate = "erased"
		}
		row.add("sign_ups", 1)
		row.add(fate, 1)
		if one.ErasedAt != nil && fate != "erased" {
			row.add("erased", 1)
		}
		row.add("attempts", one.Attempts)
		row.add("mails_requested", one.MailRequests)
	}
	return counted(days, "activated", "expired", "pending", "erased")
}

func countActivations(log []domain.Recorded) figuresByDay {
	days, took := figuresByDay{}, map[string][]float64{}
	for _, one := range countRegistrations(log) {
		if one.ActivatedAt == nil {
			continue
		}
		on := day(*one.ActivatedAt)
		days.of(on).add("activations", 1)
		took[on] = append(took[on], one.ActivatedAt.Sub(*one.RegisteredAt).Seconds())
	}
	for on, seconds := range took {
		days[on]["median_seconds_to_activate"] = percentile(seconds, 0.5)
		days[on]["p90_seconds_to_activate"] = percentile(seconds, 0.9)
	}
	return days
}

// percentile interpolates between neighbours, as SQL's percentile_cont; nil for
// none.
func percentile(values []float64, fraction float64) any {
	if len(values) == 0 {
		return nil
	}
	slices.Sort(values)
	place := fraction * float64(len(values)-1)
	low, high := values[int(math.Floor(place))], values[int(math.Ceil(place))]
	return low + (high-low)*(place-math.Floor(place))
}

func countSignIns(log []domain.Recorded) figuresByDay {
	days, seen := figuresByDay{}, map[string]bool{}
	for _, r := range log {
		if _, ok := r.Event.(domain.SignedIn); ok {
			on := day(r.Metadata.OccurredAt)
			days.of(on).add("sign_ins", 1)
			if key := on + r.Stream; !seen[key] {
				seen[key] = true
				days.of(on).add("accounts", 1)
			}
		}
	}
	return days
}

func countActive(log []domain.Recorded, period func(time.Time) string) figuresByDay {
	periods, seen := figuresByDay{}, map[string]bool{}
	for _, one := range countPresence(log) {
		in := period(one.At)
		if key := in + one.AccountID.String(); !seen[key] {
			seen[key] = true
			periods.of(in).add("accounts", 1)
		}
	}
	return periods
}

func countFunnel(log []domain.Recorded, now time.Time) figuresByDay {
	days, toLink, toChange := figuresByDay{}, map[string][]float64{}, map[string][]float64{}
	for _, one := range countResets(log) {
		on := day(one.RequestedAt)
		row := days.of(on)
		row.add("requested", 1)
		row.add("mails_requested", one.MailRequests)
		fate := one.fate(now)
		row.add(fate, 1)
		opened := one.LinkOpenedAt != nil
		switch {
		case fate == "changed":
			row.add("link_opened", 1)
			toChange[on] = append(toChange[on], one.ChangedAt.Sub(one.RequestedAt).Seconds())
		case opened && fate != "open":
			row.add("dropped_after_link", 1)
			row.add("link_opened", 1)
		case opened:
			row.add("link_opened", 1)
		case fate != "open":
			row.add("dropped_before_link", 1)
		}
		if opened {
			toLink[on] = append(toLink[on], one.LinkOpenedAt.Sub(one.RequestedAt).Seconds())
		}
	}
	for on, row := range days {
		row["median_seconds_to_link"], row["median_seconds_to_change"] = percentile(toLink[on], 0.5), percentile(toChange[on], 0.5)
	}
	return counted(days, "link_opened", "changed", "superseded", "closed", "expired", "open", "dropped_before_link", "dropped_after_link")
}

func (r *reset) fate(now time.Time) string {
	switch {
	case r.ChangedAt != nil:
		return "changed"
	case r.SupersededAt != nil:
		return "superseded"
	case r.ClosedAt != nil:
		return "closed"
	case now.Before(r.ExpiresAt):
		return "open"
	}
	return "expired"
}

// analyticsWorld has something to show in every view.
func analyticsWorld(t *testing.T) (*world, []domain.Recorded) {
	t.Helper()
	w := newWorld(t)
	events := w.person(t)
	id, _ := domain.StreamSubject(events[0].Stream)
	resetID := uuid.New()
	self := domain.Metadata{Actor: domain.AccountActor(id)}
	w.append(t, domain.AccountStream(id), 4, self, domain.ResetRequested{ResetID: resetID, ExpiresAt: domain.Micro(future())})
	w.append(t, domain.AccountStream(id), 5, self, domain.PasswordChanged{CredentialID: uuid.New(), Cause: domain.CauseReset, ResetID: &resetID})
	w.append(t, domain.AccessStream(id), domain.AnyRevision, self, domain.SignedIn{SessionID: uuid.New(), Cause: "password",
		Personal: domain.Seal(domain.Origin{ClientAddress: canary, UserAgent: canary})})
	events = append(events, w.stored(t)...)
	w.mail(t, events)
	return w, w.project(t, events)
}

// mail has the reactor put the events' mails into the queue.
func (w *world) mail(t *testing.T, events []domain.Stored) {
	t.Helper()
	if err := postgres.CreateCheckpoint(t.Context(), w.pool, email.CheckpointName, uuid.New(), 0); err != nil {
		t.Fatal(err)
	}
	reactor, err := email.NewReactor(w.pool, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reactor.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, event := range events {
		if err := reactor.React(t.Context(), event); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) analyticsViews(t failer) []string {
	t.Helper()
	rows, err := w.pool.Query(w.ctx, `SELECT table_name::text FROM information_schema.views WHERE table_schema = 'analytics'`)
	if err != nil {
		t.Fatal(err)
	}
	views, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(views) < 7 {
		t.Fatalf("views are %v, %v", views, err)
	}
	return views
}

func TestMailsPerDay(t *testing.T) {
	w, _ := analyticsWorld(t)
	w.exec(t, `UPDATE app.river_job SET state = 'completed', finalized_at = now(), metadata = '{"output": {"outcome": "sent"}}'
		WHERE args ->> 'mail' = 'reset'`)
	w.exec(t, `UPDATE app.river_job SET state = 'cancelled', finalized_at = now(),
		metadata = '{"output": {"outcome": "Zerlina", "reason": "Zerlina@mail.example"}}' WHERE args ->> 'mail' = 'password_changed'`)
	w.exec(t, `INSERT INTO app.river_job (kind, queue, args, max_attempts) SELECT kind, 'another', args, 1 FROM app.river_job`)
	got := w.analytics(t, "mails_per_day")
	today := day(time.Now())
	want := []string{
		`{"day": "` + today + `", "mail": "activation", "mails": 1, "state": "available", "outcome": null}`,
		`{"day": "` + today + `", "mail": "password_changed", "mails": 1, "state": "cancelled", "outcome": null}`,
		`{"day": "` + today + `", "mail": "reset", "mails": 1, "state": "completed", "outcome": "sent"}`,
	}
	if diff := cmp.Diff(want, slices.Sorted(slices.Values(got))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

var anyID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-|thumbnails/`)

func TestAnalyticsShowNothingPersonal(t *testing.T) {
	w, _ := analyticsWorld(t)
	// Whatever a job may come to hold is not given away either.
	w.exec(t, `INSERT INTO app.river_job (kind, queue, args, metadata, max_attempts)
		VALUES ($1, 'email', jsonb_build_object('mail', $1::text), jsonb_build_object('output', jsonb_build_object('outcome', $1::text)), 1)`, canary)
	for _, view := range w.analyticsViews(t) {
		rows := w.analytics(t, view)
		if len(rows) == 0 {
			t.Errorf("%s has no rows", view)
		}
		if text := strings.Join(rows, "\n"); strings.Contains(text, canary) || anyID.MatchString(text) {
			t.Errorf("%s shows %s", view, text)
		}
	}
}

func TestAnalyticsAreDescribed(t *testing.T) {
	w := newWorld(t)
	rows, err := w.pool.Query(t.Context(), `SELECT c.relname || coalesce('.' || a.attname, '') FROM pg_class c
		JOIN pg_attribute a ON a.attrelid = c.oid AND (a.attnum > 0 OR a.attnum = -1)
		WHERE c.relnamespace = 'analytics'::regnamespace AND c.relkind = 'v' AND a.attnum > 0
			AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid, 'pg_class') IS NULL)`)
	if err != nil {
		t.Fatal(err)
	}
	missing, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(missing) > 0 {
		t.Errorf("without a comment: %v, %v", missing, err)
	}
}

func TestTheAnalyticsRoleReadsAnalyticsAndNothingElse(t *testing.T) {
	w, _ := analyticsWorld(t)
	conn, err := w.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	rows, err := conn.Query(t.Context(), `SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
		WHERE schemaname IN ('vault', 'app', 'readmodel', 'public')`)
	if err != nil {
		t.Fatal(err)
	}
	forbidden, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(forbidden) < 10 {
		t.Fatalf("tables are %v, %v", forbidden, err)
	}
	if _, err := conn.Exec(t.Context(), `SET ROLE daybook_analytics`); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = conn.Exec(t.Context(), `RESET ROLE`) }()
	for _, view := range w.analyticsViews(t) {
		if _, err := conn.Exec(t.Context(), `SELECT * FROM analytics.`+view); err != nil {
			t.Errorf("%s: %v", view, err)
		}
	}
	statements := []string{`CREATE TABLE analytics.mine ()`, `CREATE VIEW analytics.mine AS SELECT 1`, `SELECT app.reserve_try('x', 1, '1 s')`}
	for _, table := range forbidden {
		statements = append(statements, `SELECT 1 FROM `+table, `DELETE FROM `+table)
	}
	for _, statement := range statements {
		_, err := conn.Exec(t.Context(), statement)
		if pgErr, ok := errors.AsType[*pgconn.PgError](err); !ok || pgErr.Code != "42501" {
			t.Errorf("%s: %v, want permission denied", statement, err)
		}
	}
}

// TestMigratingAsAnOwnerWhoMayNotMakeRoles: databases are often run by somebody
// else.
func TestMigratingAsAnOwnerWhoMayNotMakeRoles(t *testing.T) {
	w := newWorld(t)
	owner := "owner_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	w.exec(t, `CREATE ROLE `+owner)
	w.exec(t, `CREATE DATABASE `+owner+` OWNER `+owner)
	config := w.pool.Config()
	config.ConnConfig.Database = owner
	config.ConnConfig.RuntimeParams["role"] = owner
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		pool.Close()
		w.ctx = context.WithoutCancel(w.ctx)
		w.exec(t, `DROP DATABASE `+owner+` WITH (FORCE)`)
		w.exec(t, `DROP ROLE `+owner)
	})
	if err := postgres.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), `SELECT * FROM analytics.mails_per_day`); err != nil {
		t.Error(err)
	}
	var granted bool
	err = pool.QueryRow(t.Context(), `SELECT has_table_privilege('daybook_analytics', 'analytics.resets_per_day', 'SELECT')`).Scan(&granted)
	if err != nil || !granted {
		t.Errorf("granted to the role that is there: %t, %v", granted, err)
	}
}
