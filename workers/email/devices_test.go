package email

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
	catcher "daybook/internal/embedded/smtp"
	"daybook/internal/testkit"
)

const (
	firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"
	newer   = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"
	edge    = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0"
)

// signedIn appends a sign-in as commands do.
func (w *world) signedIn(t *testing.T, ago time.Duration, agent, address string) {
	t.Helper()
	_, err := w.repo.Append(t.Context(), domain.Append{
		Stream: domain.AccessStream(w.account), Expected: domain.AnyRevision,
		Events: []domain.Event{domain.SignedIn{
			SessionID: uuid.New(), Cause: "password", Personal: domain.Seal(domain.Origin{ClientAddress: address, UserAgent: agent}),
		}},
		Metadata: domain.Metadata{Command: "SignIn", CommandID: uuid.New(), OccurredAt: domain.Micro(time.Now().Add(-ago))},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// watcher is a reactor that notices devices.
func (w *world) watcher(t *testing.T) *Reactor {
	t.Helper()
	r := w.reactor(t)
	r.Devices = &Devices{Vault: w.repo.Vault, Key: []byte(strings.Repeat("k", 32))}
	return r
}

// watch gives everything in the store to a reactor that has just started.
func (w *world) watch(t *testing.T) {
	t.Helper()
	r := w.watcher(t)
	for event, err := range w.repo.Client.ReadAll(t.Context(), 0) {
		if err == nil {
			err = r.React(t.Context(), event)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) exec(t *testing.T, sql string, arguments ...any) {
	t.Helper()
	if _, err := w.pool.Exec(t.Context(), sql, arguments...); err != nil {
		t.Fatal(err)
	}
}

func (w *world) count(t *testing.T, sql string, arguments ...any) (n int) {
	t.Helper()
	if err := w.pool.QueryRow(t.Context(), sql, arguments...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// tell sends what is due, and returns the jobs and the mails.
func (w *world) tell(t *testing.T) ([]job, []catcher.Message) {
	t.Helper()
	config := w.config()
	config.Access = w.repo.Access
	return w.send(t, config)
}

// TestNewDeviceIsNoticed: not the first one and not a known one; the mail tells when,
// with what and from where.
func TestNewDeviceIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.activate(t)
	w.signedIn(t, 40*time.Minute, firefox, "203.0.113.7")
	w.signedIn(t, 30*time.Minute, newer, "203.0.113.200") // an update, another address of the network
	w.watch(t)
	if jobs := w.jobs(t); len(jobs) != 0 {
		t.Fatalf("the account's own device makes %s", describe(jobs))
	}
	w.signedIn(t, time.Minute, edge, "198.51.100.4")
	w.signedIn(t, time.Second, edge, "198.51.100.5")
	for range 2 { // read again, after a restart
		w.watch(t)
	}
	jobs, mails := w.tell(t)
	if len(jobs) != 1 || jobs[0].Output != "sent" || len(mails) != 1 {
		t.Fatalf("%s, %d mails", describe(jobs), len(mails))
	}
	m := mails[0]
	for part, text := range map[string]string{"text": m.Text, "HTML": m.HTML} {
		for _, fact := range []string{"Hello Zerlina", "Edge on Windows", "network address 198.51.100.4", "UTC: Edge", "password reset"} {
			if !strings.Contains(text, fact) {
				t.Errorf("the %s does not say %q:\n%s", part, fact, text)
			}
		}
		if strings.Contains(text, "198.51.100.5") || strings.Contains(text, "203.0.113") || strings.Contains(text, "Further") {
			t.Errorf("the %s tells of other sign-ins:\n%s", part, text)
		}
	}
	if m.Subject != "New sign-in to your account" || len(m.To) != 1 || m.To[0] != w.address {
		t.Errorf("%q to %v", m.Subject, m.To)
	}
	w.checkNoOrigin(t)
}

// checkNoOrigin looks for what a sign-in came from in the queue, the devices and the
// log.
func (w *world) checkNoOrigin(t *testing.T) {
	t.Helper()
	var rows string
	err := w.pool.QueryRow(t.Context(), `SELECT coalesce((SELECT string_agg(j::text, E'\n') FROM app.river_job j), '')
		|| coalesce((SELECT string_agg(d::text, E'\n') FROM app.devices d), '')`).Scan(&rows)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"198.51.100", "203.0.113", "Edge", "Firefox"} {
		if strings.Contains(rows, secret) || strings.Contains(w.logs.String(), secret) {
			t.Errorf("%q is in a table or the log", secret)
		}
	}
}

// TestOneDeviceMailAnHour: what is new within the hour is told in one mail at its
// end, and nothing is passed over.
func TestOneDeviceMailAnHour(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.activate(t)
	w.signedIn(t, time.Hour, firefox, "203.0.113.7")
	w.signedIn(t, time.Minute, edge, "198.51.100.4")
	w.watch(t)
	for i := range devicesTold + 2 {
		w.signedIn(t, time.Second, edge, fmt.Sprintf("198.51.%d.4", 101+i))
	}
	w.watch(t)
	if n := w.count(t, `SELECT count(*) FROM app.river_job WHERE scheduled_at > now() + interval '59 minutes' AND state = 'scheduled'`); n != 1 {
		t.Fatalf("%d jobs for the next hour of %s", n, describe(w.jobs(t)))
	}
	w.exec(t, `UPDATE app.river_job SET scheduled_at = now() - interval '1 second'`) // an hour later
	jobs, mails := w.tell(t)
	if len(jobs) != 2 || len(mails) != 2 {
		t.Fatalf("%s, %d mails", describe(jobs), len(mails))
	}
	texts := mails[0].Text + mails[1].Text
	if !strings.Contains(texts, "network address 198.51.107.4") || !strings.Contains(texts, "Further new devices or networks: 2") || strings.Contains(texts, "198.51.102.4") {
		t.Errorf("told:\n%s", texts)
	}
}

// TestDevicesAreBounded: who knows the password can neither fill the table nor crowd
// out the mail, nor what it is to tell of.
func TestDevicesAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.activate(t)
	w.signedIn(t, time.Hour, firefox, "203.0.113.7")
	for i := range 2 * devicesKept {
		w.signedIn(t, time.Second, edge, fmt.Sprintf("198.51.%d.4", i))
	}
	w.watch(t)
	if n := w.count(t, `SELECT count(*) FROM app.devices`); n != devicesKept {
		t.Errorf("%d devices are kept, want %d", n, devicesKept)
	}
	if n := w.count(t, `SELECT count(*) FROM app.devices WHERE notice_at <= now()`); n != 1 || len(w.jobs(t)) != 2 {
		t.Errorf("%d devices are to be told of now, by %s", n, describe(w.jobs(t)))
	}
	w.exec(t, `UPDATE app.devices SET notice_at = notice_at - interval '2 days'`)
	w.signedIn(t, time.Second, edge, "192.0.2.4")
	w.watch(t)
	if n := w.count(t, `SELECT count(*) FROM app.devices`); n != devicesKept || len(w.jobs(t)) < 3 {
		t.Errorf("%d devices are kept after another, %s", n, describe(w.jobs(t)))
	}
	if n := w.count(t, `SELECT count(*) FROM app.devices WHERE notice IS NULL`); n != 0 {
		t.Error("a device told of lately had to give way, not the one that was longest unused")
	}
}

// TestUntrueDeviceMails are not sent.
func TestUntrueDeviceMails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(w *world, t *testing.T)
		reason string
	}{
		"erased":      {func(w *world, t *testing.T) { w.erase(t) }, "skipped erased"},
		"deactivated": {func(w *world, t *testing.T) { w.append(t, 0, domain.AccountDeactivated{Reason: "test"}) }, "skipped not active"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.activate(t)
			w.signedIn(t, time.Hour, firefox, "203.0.113.7")
			w.signedIn(t, time.Second, edge, "198.51.100.4")
			w.watch(t)
			c.change(w, t)
			jobs, mails := w.tell(t)
			if len(jobs) != 1 || jobs[0].Output != c.reason || len(mails) != 0 {
				t.Errorf("%s, %d mails", describe(jobs), len(mails))
			}
		})
	}
	t.Run("old", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.activate(t)
		w.signedIn(t, 26*time.Hour, firefox, "203.0.113.7")
		w.signedIn(t, 25*time.Hour, edge, "198.51.100.4")
		w.watch(t)
		if jobs, mails := w.tell(t); len(jobs) != 1 || jobs[0].Output != "skipped expired" || len(mails) != 0 {
			t.Errorf("%s, %d mails", describe(jobs), len(mails))
		}
	})
}

// TestSignInsWithoutAnOrigin stop nothing: of an erased person, with a lost key, or
// where nobody wants to be told.
func TestSignInsWithoutAnOrigin(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{
		"erased": `INSERT INTO vault.erased_subjects (subject) VALUES ($1)`,
		"lost":   `DELETE FROM vault.data_keys WHERE subject = $1`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.signedIn(t, time.Hour, firefox, "203.0.113.7")
			w.signedIn(t, time.Second, edge, "198.51.100.4")
			w.exec(t, change, w.account)
			w.repo.Vault = testkit.Repository(t, w.pool).Vault // without what was cached
			w.watch(t)
			if n := w.count(t, `SELECT count(*) FROM app.devices`); n != 0 || len(w.jobs(t)) != 0 {
				t.Errorf("%d devices, %s", n, describe(w.jobs(t)))
			}
		})
	}
	t.Run("switched off", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.signedIn(t, time.Hour, firefox, "203.0.113.7")
		w.signedIn(t, time.Second, edge, "198.51.100.4")
		r, last := w.reactor(t), uint64(0)
		for event, err := range w.repo.Client.ReadAll(t.Context(), 0) {
			if err == nil {
				err, last = r.React(t.Context(), event), event.Position
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if n := w.count(t, `SELECT count(*) FROM app.devices`); n != 0 || w.position(t) != last {
			t.Errorf("%d devices, at %d of %d", n, w.position(t), last)
		}
	})
}

// TestPurgeDevices keeps the newest of each account, and nothing of an erased one.
func TestPurgeDevices(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.signedIn(t, time.Hour, firefox, "203.0.113.7")
	w.signedIn(t, time.Second, edge, "198.51.100.4")
	w.watch(t)
	purge := func(want int64) {
		t.Helper()
		if n, err := PurgeDevices(t.Context(), w.pool, w.pool); n != want || err != nil {
			t.Errorf("purged %d, want %d: %v", n, want, err)
		}
	}
	purge(0)
	w.exec(t, `UPDATE app.devices SET last_seen_at = now() - interval '401 days' - revision * interval '1 day'`)
	purge(1)
	purge(0)
	w.exec(t, `INSERT INTO vault.erased_subjects (subject) VALUES ($1)`, w.account)
	purge(1)
}
