package app_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"daybook/internal/eventstore"
	"daybook/internal/testkit"
	"daybook/internal/vault"
)

// TestAddressKeyChangesUnderLoad changes the key of addresses of two API processes, each
// with a file of keys of its own, one after the other, while people register the same
// address at both at once and one person signs in at both all the time.
func TestAddressKeyChangesUnderLoad(t *testing.T) {
	d := &deployment{tb: t, events: fileAt(t)}
	d.backends(t)
	old, next := testkit.KeySet("k1"), testkit.KeySet("k2")
	files := [2]string{secretFile(t, old.String()), secretFile(t, old.String())}
	d.withAddressKeys(files[0]) // of the console
	d.store.start()
	d.run("migrate")
	for i := range d.apis {
		d.apis[i] = d.role("API", "api")
		d.apis[i].env = append(d.apis[i].env, "DAYBOOK_ADDRESS_KEYS_FILE="+files[i])
		d.apis[i].start()
	}
	d.mailers[0] = d.role("worker", "worker", "email")
	d.mailers[0].start()

	load := d.beginLoad()
	load.more()
	give(t, files[0], append(next, old...)) // one process claims under both keys, the other does not
	d.awaitKeys("k2", "coming", "1 processes")
	load.more()
	give(t, files[1], append(next, old...))
	load.more()
	d.run("keys", "rewrap", "address")
	d.awaitKeys("k2", "current", "0 processes")
	load.more()
	testkit.Await(t, 20*time.Second, "both use the new key", func() bool {
		output, err := d.try("keys", "retire", "address", "k1", "--force")
		return err == nil && strings.Contains(output, "take it out")
	})
	give(t, files[0], next)
	load.more()
	give(t, files[1], next)
	load.more()
	load.end()
	d.everybodyIsIn(load.registered())
}

// withAddressKeys exchanges the file of keys that all roles share.
func (d *deployment) withAddressKeys(path string) {
	for i, variable := range d.env {
		if strings.HasPrefix(variable, "DAYBOOK_ADDRESS_KEYS_FILE=") {
			d.env[i] = "DAYBOOK_ADDRESS_KEYS_FILE=" + path
		}
	}
}

// give puts keys into a file as orchestrators do: at once.
func give(t *testing.T, path string, keys vault.KeySet) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(keys.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// awaitKeys waits for a line of the list.
func (d *deployment) awaitKeys(words ...string) {
	d.tb.Helper()
	testkit.Await(d.tb, 20*time.Second, fmt.Sprint("keys list says ", words), func() bool {
		list := d.run("keys", "list")
		for line := range strings.Lines(list) {
			all := strings.HasPrefix(line, "address")
			for _, word := range words {
				all = all && strings.Contains(line, word)
			}
			if all {
				return true
			}
		}
		return false
	})
}

// rush is what people do in the meantime.
type rush struct {
	d       *deployment
	done    chan struct{}
	once    sync.Once
	working sync.WaitGroup
	next    atomic.Int64 // number of the next address
	signIns atomic.Int64
}

const theLoyal = "loyal@example.com"

func (d *deployment) beginLoad() *rush {
	d.tb.Helper()
	l := &rush{d: d, done: make(chan struct{})}
	d.tb.Cleanup(l.end)
	d.join(0, theLoyal)
	if a := d.at(0, "").do(http.MethodPost, d.link(theLoyal, subjectActivation), nil, ""); a.Status >= 400 {
		d.tb.Fatalf("activate: %d %s", a.Status, a.Body)
	}
	l.working.Go(l.register)
	l.working.Go(l.signIn)
	return l
}

func (d *deployment) join(api int, email string) {
	a := d.at(api, "").post("/users/register/", map[string]any{"email": email, "first_name": "Ann", "last_name": "Lee", "password": goodPassword})
	if a.Status != http.StatusCreated {
		d.tb.Errorf("register at %d: %d %s", api, a.Status, a.Body)
	}
}

// register lets two people want each address, at different processes at the same time.
func (l *rush) register() {
	for !l.over() {
		email := fmt.Sprintf("person%d@example.com", l.next.Load())
		var both sync.WaitGroup
		for api := range l.d.apis {
			both.Go(func() { l.d.join(api, email) })
		}
		both.Wait()
		l.next.Add(1)
	}
}

// signIn: it works at both all along.
func (l *rush) signIn() {
	for !l.over() {
		for api := range l.d.apis {
			if a := l.d.at(api, "").signIn(theLoyal, goodPassword); a.Status != http.StatusOK {
				l.d.tb.Errorf("sign in at %d: %d %s", api, a.Status, a.Body)
			}
		}
		l.signIns.Add(1)
	}
}

func (l *rush) over() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// more waits until a few have registered and signed in since.
func (l *rush) more() {
	l.d.tb.Helper()
	people, signIns := l.next.Load()+4, l.signIns.Load()+2
	testkit.Await(l.d.tb, 30*time.Second, "more people", func() bool { return l.next.Load() >= people && l.signIns.Load() >= signIns })
}

func (l *rush) end() {
	l.once.Do(func() { close(l.done) })
	l.working.Wait()
}

func (l *rush) registered() (emails []string) {
	for i := range l.next.Load() {
		emails = append(emails, fmt.Sprintf("person%d@example.com", i))
	}
	return emails
}

// everybodyIsIn activates every account and signs in at both processes; each address is
// owned by one account.
func (d *deployment) everybodyIsIn(emails []string) {
	d.tb.Helper()
	for _, email := range emails {
		if a := d.at(0, "").do(http.MethodPost, d.link(email, subjectActivation), nil, ""); a.Status >= 400 {
			d.tb.Errorf("activate %s: %d %s", email, a.Status, a.Body)
		}
		for api := range d.apis {
			if a := d.at(api, "").signIn(email, goodPassword); a.Status != http.StatusOK {
				d.tb.Errorf("%s is locked out at %d: %d %s", email, api, a.Status, a.Body)
			}
		}
	}
	counts := addressOwners(d.tb, d.repository())
	for _, email := range emails {
		if counts[email] != 1 {
			d.tb.Errorf("%d accounts own %s", counts[email], email)
		}
	}
	d.tb.Logf("%d addresses were registered twice at once", len(emails))
}

// repository reads the deployment's store with its own keys.
func (d *deployment) repository() *eventstore.Repository {
	d.tb.Helper()
	variables := map[string]string{}
	for _, variable := range d.env {
		name, value, _ := strings.Cut(variable, "=")
		variables[name] = value
	}
	client, err := eventstore.NewClient(eventstore.Config{URL: variables["DAYBOOK_EVENTSTORE_URL"], Prefixes: []string{"account-"}})
	if err != nil {
		d.tb.Fatal(err)
	}
	d.tb.Cleanup(client.Close)
	content, err := os.ReadFile(variables["DAYBOOK_MASTER_KEYS_FILE"])
	if err != nil {
		d.tb.Fatal(err)
	}
	masters, err := vault.ParseKeySet(string(content))
	if err != nil {
		d.tb.Fatal(err)
	}
	return &eventstore.Repository{Client: client, Vault: vault.New(d.pool, masters)}
}
