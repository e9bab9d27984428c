package app_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/internal/testkit"
	"daybook/workers/relay"
)

// edit sends an edit and does not wait. Its outcome is unknown.
func (d *deployment) edit(b *browser, name, key string) (answered <-chan struct{}) {
	d.tb.Helper()
	body, contentType := form(d.tb, map[string]string{"first_name": name}, nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = b.try(http.MethodPatch, "/users/update-user/", body, contentType, "Idempotency-Key", key)
	}()
	return done
}

// insist repeats one edit, with one key, until it is acknowledged.
func (d *deployment) insist(b *browser, name, key string) {
	d.tb.Helper()
	body, contentType := form(d.tb, map[string]string{"first_name": name}, nil)
	var content bytes.Buffer
	if _, err := content.ReadFrom(body); err != nil {
		d.tb.Fatal(err)
	}
	testkit.Await(d.tb, 20*time.Second, "the edit is acknowledged", func() bool {
		a, err := b.try(http.MethodPatch, "/users/update-user/", bytes.NewReader(content.Bytes()), contentType, "Idempotency-Key", key)
		return err == nil && a.Status == http.StatusOK && a.text("first_name") == name
	})
}

// awaitView waits until a projector has written the name. The API is not asked: it
// would answer without any projector.
func (d *deployment) awaitView(id uuid.UUID, name string, within time.Duration) {
	d.tb.Helper()
	testkit.Await(d.tb, within, "the view shows "+name, func() bool {
		row, found, err := d.view.Account(d.tb.Context(), id)
		return err == nil && found && row.FirstName == name
	})
}

// active tells which of the projectors has all leases, and that the other has none.
func (d *deployment) active() int {
	d.tb.Helper()
	var owned [2]int
	testkit.Await(d.tb, takeover, "one projector works and the other stands by", func() bool {
		for i, m := range d.projectors {
			owned[i] = owners(m.addr)
		}
		return min(owned[0], owned[1]) == 0 && max(owned[0], owned[1]) >= 5
	})
	if owned[0] > 0 {
		return 0
	}
	return 1
}

// owners counts the consumers that a process has the lease of.
func owners(addr string) int {
	response, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		return 0
	}
	defer func() { _ = response.Body.Close() }()
	n := 0
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "daybook_consumer_owner{") && strings.HasSuffix(lines.Text(), " 1") {
			n++
		}
	}
	return n
}

// changedPassword is that of the person after the reset.
const changedPassword = "SomeOther123456"

// TestTopology is a person's way through two APIs while every process of the
// deployment is killed and started again in turn.
func TestTopology(t *testing.T) {
	if testing.Short() {
		t.Skip("starts sixteen processes; not with -short")
	}
	d := deploy(t)
	const email = "ann@example.com"
	d.mailers[0].kill()
	id, session := d.registered(t, email)
	d.mailers[0].start()
	d.killAPIs(t, session)
	d.killProjectors(t, id, session)
	d.killStore(t, id, session)
	d.killMailers(t, email, session)
	d.killRelays(t, id)
	d.killHousekeepers(t)
	d.checkStore(t)
}

// registered opens an account on one API, activates it on the other, and edits
// the profile.
func (d *deployment) registered(t *testing.T, email string) (id uuid.UUID, session string) {
	t.Helper()
	a := d.at(0, "").post("/users/register/", map[string]any{"email": email, "first_name": "Ann", "last_name": "Lee", "password": goodPassword})
	want(t, a, http.StatusCreated, "", "")
	wantRedirect(t, d.at(1, "").activate(d.link(email, subjectActivation)), "http://accounts.example.com/auth/confirmed")
	b := d.at(0, "")
	a = b.signIn(email, goodPassword)
	want(t, a, http.StatusOK, "email", email)
	id, err := uuid.Parse(a.text("id"))
	if err != nil {
		t.Fatal(err)
	}
	want(t, d.at(1, b.session).get("/users/current-user/"), http.StatusOK, "first_name", "Ann")
	a = b.patch(map[string]string{"phone_number": "+2348145359073"}, picture(t, 64, 64))
	want(t, a, http.StatusOK, "", "")
	if shown := d.at(1, "").get(mustPath(t, a.text("thumbnail"))); shown.Status != http.StatusOK {
		t.Errorf("the picture on the other API: %d", shown.Status)
	}
	return id, b.session
}

// killAPIs kills each API under an edit, which the person then repeats on the
// other.
func (d *deployment) killAPIs(t *testing.T, session string) {
	t.Helper()
	for i, name := range []string{"Grace", "Ada"} {
		key := uuid.NewString()
		answered := d.edit(d.at(i, session), name, key)
		d.apis[i].kill()
		<-answered
		d.insist(d.at(1-i, session), name, key)
		d.apis[i].start()
		want(t, d.at(i, session).get("/users/current-user/"), http.StatusOK, "first_name", name)
	}
}

// killProjectors kills the one that works, twice: the other takes over.
func (d *deployment) killProjectors(t *testing.T, id uuid.UUID, session string) {
	t.Helper()
	for _, name := range []string{"Emmy", "Lise"} {
		working := d.projectors[d.active()]
		began := time.Now()
		working.kill()
		want(t, d.at(0, session).patch(map[string]string{"first_name": name}, nil), http.StatusOK, "first_name", name)
		d.awaitView(id, name, takeover)
		t.Logf("a projector was killed; the other had written %v later", time.Since(began))
		working.start()
	}
}

// killStore kills the event store under an edit. Every other process outlives it.
func (d *deployment) killStore(t *testing.T, id uuid.UUID, session string) {
	t.Helper()
	d.store.kill()
	want(t, d.at(0, session).get("/users/current-user/"), http.StatusOK, "first_name", "Lise")
	key := uuid.NewString()
	answered := d.edit(d.at(1, session), "Maria", key)
	testkit.Await(t, 20*time.Second, "the API notices", func() bool { return probe(d.apis[0].addr) == http.StatusServiceUnavailable })
	d.store.start()
	<-answered
	d.insist(d.at(1, session), "Maria", key)
	d.awaitView(id, "Maria", 20*time.Second)
	for _, m := range d.roles() {
		testkit.Await(t, 20*time.Second, fmt.Sprint(m.arguments, " is ready again"), func() bool { return probe(m.addr) == http.StatusOK })
	}
}

// killMailers kills both before a reset is asked for. The mail comes when one is
// back, and the way ends on the other API.
func (d *deployment) killMailers(t *testing.T, email, session string) {
	t.Helper()
	d.mailers[0].kill()
	d.mailers[1].kill()
	want(t, d.at(0, "").post("/users/password-change/request-password-change/", map[string]any{"email": email}), http.StatusOK, "", "")
	d.mailers[1].start()
	a := d.at(1, "").get(d.link(email, subjectReset))
	location, err := url.Parse(a.Header.Get("Location"))
	if err != nil || a.Status != http.StatusFound {
		t.Fatalf("open reset link: %d %v", a.Status, err)
	}
	want(t, d.at(0, "").changeByReset(location.Query().Get("token"), changedPassword), http.StatusOK, "", "")
	want(t, d.at(1, session).get("/users/current-user/"), http.StatusUnauthorized, "", "")
	want(t, d.at(1, "").signIn(email, changedPassword), http.StatusOK, "first_name", "Maria")
	d.mailers[0].start()
}

// killRelays kills one after the other, and the broker, each time before an edit:
// consumers see every edit once it is acknowledged, in order.
func (d *deployment) killRelays(t *testing.T, id uuid.UUID) {
	t.Helper()
	b := d.at(0, "")
	b.keepSession(b.signIn("ann@example.com", changedPassword))
	before := d.edits(t, id, 0)
	for i, m := range []*member{d.relays[0], d.relays[1], d.kafka} {
		m.kill()
		want(t, b.patch(map[string]string{"last_name": fmt.Sprint("Relayed", i)}, nil), http.StatusOK, "", "")
		m.start()
		d.edits(t, id, before+i+1)
	}
}

// edits waits until at least so many edits of the account are on the topic, and
// counts them.
func (d *deployment) edits(t *testing.T, id uuid.UUID, atLeast int) (n int) {
	t.Helper()
	consume(t, d.kafkaURL, relay.Topic(""), func(all []published) bool {
		n = 0
		for _, name := range types(all, id.String()) {
			if name == "profile_updated" {
				n++
			}
		}
		return n >= atLeast
	})
	return n
}

// killHousekeepers kills both: what they were to remove goes when one is back.
func (d *deployment) killHousekeepers(t *testing.T) {
	t.Helper()
	for i, m := range d.housekeepers {
		d.housekeepers[1-i].stop()
		m.stop()
		if _, err := d.pool.Exec(t.Context(), `INSERT INTO app.idempotency (command_id, fingerprint, created_at)
			VALUES (gen_random_uuid(), 'x', now() - interval '2 days')`); err != nil {
			t.Fatal(err)
		}
		m.start()
		testkit.Await(t, 20*time.Second, "an old key is forgotten", func() bool {
			var old int
			err := d.pool.QueryRow(t.Context(), `SELECT count(*) FROM app.idempotency WHERE created_at < now() - interval '1 day'`).Scan(&old)
			return err == nil && old == 0
		})
	}
}

// checkStore: after all that, the event store's file is sound, and so are copies.
func (d *deployment) checkStore(t *testing.T) {
	t.Helper()
	d.store.kill()
	verified := d.run("eventstore", "verify", "--file", d.events)
	_, found, _ := strings.Cut(verified, " is sound: ")
	for _, command := range []string{"backup", "compact"} {
		target := filepath.Join(t.TempDir(), "copy.db")
		if output := d.run("eventstore", command, "--file", d.events, target); found == "" || !strings.HasSuffix(output, found) {
			t.Errorf("%s says %q, verify %q", command, output, verified)
		}
	}
}
