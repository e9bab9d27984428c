package app_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/internal/app"
	"daybook/internal/testkit"
)

// TestServeKeepsHouse: the tasks are wired and run in the process that people use.
func TestServeKeepsHouse(t *testing.T) {
	s := settings(t)
	s.MetricsAddr = "127.0.0.1:0"
	service := startRoles(t, s, app.Everything)
	service.signedIn("ann@example.com")
	want := []string{
		"settle_guards", "note_refused_sign_ins", "abandon_registrations", "expire_registrations", "purge_sessions",
		"purge_idempotency_keys", "purge_activity", "purge_devices", "sweep_credentials", "sweep_thumbnails",
	}
	testkit.Await(t, 20*time.Second, "each task has run well", func() bool {
		metrics := string(service.browser().get("http://" + service.app.MetricsAddr() + "/metrics").Body)
		for _, task := range want {
			if !strings.Contains(metrics, `daybook_housekeeping_runs_total{outcome="ok",task="`+task+`"} `) {
				return false
			}
		}
		return !strings.Contains(metrics, `daybook_housekeeping_runs_total{outcome="error"`)
	})
}

// TestHousekeepingRole works alone, on what others left.
func TestHousekeepingRole(t *testing.T) {
	s := settings(t)
	s.MetricsAddr = "127.0.0.1:0"
	left := uuid.New()
	house, err := app.Open(t.Context(), s, app.Roles{Housekeeper: true, Migrate: true}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := house.Pool().Exec(t.Context(), `INSERT INTO app.idempotency (command_id, fingerprint, created_at)
		VALUES ($1, 'x', now() - interval '2 days')`, left); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- house.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	}()
	testkit.Await(t, 20*time.Second, "an old key is forgotten", func() bool {
		var rows int
		if err := house.Pool().QueryRow(t.Context(), `SELECT count(*) FROM app.idempotency WHERE command_id = $1`, left).Scan(&rows); err != nil {
			t.Fatal(err)
		}
		return rows == 0
	})
	if status := probe(house.MetricsAddr()); status != http.StatusOK {
		t.Errorf("ready: %d", status)
	}
}
