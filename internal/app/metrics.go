package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/api"
	"daybook/internal/telemetry"
)

// listenMetrics opens the port of the metrics, unless there is to be none.
func (a *App) listenMetrics(ctx context.Context) (err error) {
	addr := a.settings.MetricsAddr
	if addr == "" || addr == "off" || a.roles == (Roles{}) || a.roles == (Roles{Migrate: true}) {
		return nil
	}
	var network net.ListenConfig
	if a.metricsListener, err = network.Listen(ctx, "tcp", addr); err != nil {
		return fmt.Errorf("DAYBOOK_METRICS_ADDR: cannot listen on %s: %w", addr, err)
	}
	return nil
}

// MetricsAddr is the address of the metrics; empty for none.
func (a *App) MetricsAddr() string {
	if a.metricsListener == nil {
		return ""
	}
	return a.metricsListener.Addr().String()
}

// serveMetrics answers scrapes, and the probes of processes without the API.
func (a *App) serveMetrics(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", a.observer.metrics.Handler())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok", nil) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		report, ready := a.health.check(r.Context())
		if !ready {
			answer(w, http.StatusServiceUnavailable, "not_ready", report)
			return
		}
		answer(w, http.StatusOK, "ready", report)
	})
	return serveHTTP(ctx, a.metricsListener, plainly(mux), a.logger)
}

// plainly sets the headers that answers of the API carry too: none of these is a page.
func plainly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		api.SecureHeader(w.Header())
		next.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, status int, word string, report map[string]partState) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(struct { // the client may be gone
		Status string               `json:"status"`
		Report map[string]partState `json:"report,omitempty"`
	}{word, report})
}

// measure adds the metrics that are asked for at each scrape.
func (a *App) measure() {
	m := a.observer.metrics
	pools := map[string]*pgxpool.Pool{"database": a.parts.pool}
	if a.parts.vaultPool != a.parts.pool {
		pools["vault"] = a.parts.vaultPool
	}
	m.Pools(pools)
	a.measureHealth(m)
	a.measureConsumers(m)
	if a.mailer != nil {
		measureQueue(m, a.parts.pool)
	}
	if a.roles.API {
		a.measurePasswords(m)
	}
}

func (a *App) measureHealth(m *telemetry.Metrics) {
	m.Gauge("daybook_ready", "1 while this process is ready, as /readyz says.", nil, func(set telemetry.Set) {
		_, ready := a.health.check(context.Background())
		set(number(ready))
	})
	each := func(name, help, label string, read func(set telemetry.Set, part string, state partState)) {
		m.Gauge(name, help, []string{label}, func(set telemetry.Set) {
			report, _ := a.health.check(context.Background())
			for part, state := range report {
				read(set, part, state)
			}
		})
	}
	each("daybook_part_up", "1 while a part is well, as /readyz says.", "part", func(set telemetry.Set, part string, state partState) {
		set(number(state.OK), part)
	})
	each("daybook_consumer_lag_events", "Events that a consumer has yet to handle; 10000 stands for more.", "consumer", func(set telemetry.Set, part string, state partState) {
		if state.LagEvents != nil {
			set(float64(*state.LagEvents), part)
		}
	})
	each("daybook_consumer_lag_seconds", "Age of the oldest event that a consumer has yet to handle.", "consumer", func(set telemetry.Set, part string, state partState) {
		if state.LagSeconds != nil {
			set(*state.LagSeconds, part)
		}
	})
	each("daybook_projection_parked_accounts", "Accounts that a view leaves out because of an event that it cannot show.", "consumer", func(set telemetry.Set, part string, state partState) {
		if state.LagEvents != nil && strings.HasPrefix(part, "projection:") {
			set(float64(state.Parked), part)
		}
	})
}

func (a *App) measureConsumers(m *telemetry.Metrics) {
	each := func(name, help string, read func(w *watched) float64) {
		m.Gauge(name, help, []string{"consumer"}, func(set telemetry.Set) {
			for _, w := range a.consumers {
				set(read(w), w.name)
			}
		})
	}
	each("daybook_consumer_owner", "1 while this process has the consumer's lease.", func(w *watched) float64 {
		_, owner := w.status()
		return number(owner)
	})
	each("daybook_consumer_connected", "1 while events can come.", func(w *watched) float64 {
		status, _ := w.status()
		return number(status.Connected)
	})
	each("daybook_consumer_nacks", "Nacks in a row of the message in hand.", func(w *watched) float64 {
		status, _ := w.status()
		return float64(status.Nacks)
	})
}

func measureQueue(m *telemetry.Metrics, pool *pgxpool.Pool) {
	ask := func(read func(set telemetry.Set, q jobQueue)) func(telemetry.Set) {
		return func(set telemetry.Set) {
			ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
			defer cancel()
			if q, err := queueOf(ctx, pool); err == nil { // else the value is absent
				read(set, q)
			}
		}
	}
	m.Gauge("daybook_queue_jobs", "Mails in the queue that are not done, by state.", []string{"state"}, ask(func(set telemetry.Set, q jobQueue) {
		for state, jobs := range q.states {
			set(float64(jobs), state)
		}
	}))
	m.Gauge("daybook_queue_oldest_due_seconds", "For how long the oldest due mail has waited to be taken up.", nil, ask(func(set telemetry.Set, q jobQueue) {
		set(q.oldest)
	}))
}

func (a *App) measurePasswords(m *telemetry.Metrics) {
	m.Gauge("daybook_password_queue", "Password hashes under way and waiting, by queue: verify for sign-ins, hash for new passwords.", []string{"queue", "state"}, func(set telemetry.Set) {
		for _, u := range a.parts.hasher.Usage() {
			set(float64(u.Working), u.Queue, "working")
			set(float64(u.Waiting), u.Queue, "waiting")
		}
	})
	m.Gauge("daybook_password_queue_limit", "Most password hashes at a time, and most waiting before more are shed.", []string{"queue", "state"}, func(set telemetry.Set) {
		for _, u := range a.parts.hasher.Usage() {
			set(float64(u.Workers), u.Queue, "working")
			set(float64(u.Places), u.Queue, "waiting")
		}
	})
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// closeMetrics ends the listener and sends the last spans. A collector that is
// away is no failure of the service.
func (a *App) closeMetrics(ctx context.Context) {
	if a.metricsListener != nil {
		if err := a.metricsListener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			a.logger.WarnContext(ctx, "the metrics' port was not closed", slog.Any("error", err))
		}
	}
	if a.observer != nil {
		if err := a.observer.tracing.Shutdown(ctx); err != nil {
			a.logger.WarnContext(ctx, "the last spans were not sent", slog.Any("error", err))
		}
	}
}
