package keyring_test

import (
	"errors"
	"log/slog"
	"os"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/internal/eventstore"
	"daybook/internal/keyring"
	"daybook/internal/testkit"
	"daybook/internal/vault"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// process is one of a deployment, with a place of its own where its keys are kept.
type process struct {
	*keyring.Follower
	t    *testing.T
	kept keyring.Sets
	lost error // when its keys cannot be read
}

type deployment struct {
	t          *testing.T
	pool       *pgxpool.Pool
	repository *eventstore.Repository
	first      keyring.Sets
}

func newDeployment(t *testing.T) *deployment {
	d := &deployment{t: t, pool: testkit.Database(t), first: keyring.Sets{}}
	d.repository = testkit.Repository(t, d.pool)
	for _, kind := range keyring.Kinds() {
		d.first[kind] = testkit.KeySet("k1")
	}
	return d
}

func (d *deployment) process() *process {
	p := &process{t: d.t, kept: keyring.Sets{}}
	for kind, set := range d.first {
		p.kept[kind] = set
	}
	p.Follower = &keyring.Follower{
		Repository: d.repository, Holders: keyring.Holders{Pool: d.pool}, Rings: keyring.NewRings(d.first),
		Read: func() (keyring.Sets, error) { return p.kept, p.lost }, Producer: "test", Logger: slog.New(slog.DiscardHandler),
	}
	must(d.t, p.Announce(d.t.Context()))
	return p
}

func (d *deployment) started() *process {
	p := d.process()
	_, err := p.Start(d.t.Context())
	must(d.t, err)
	p.step()
	return p
}

func (p *process) step() {
	p.t.Helper()
	must(p.t, p.Step(p.t.Context()))
}

// give puts the key in front of the others of its kind.
func (p *process) give(kind string, key vault.KeySet) {
	kept := keyring.Sets{}
	for other, set := range p.kept {
		kept[other] = set
	}
	kept[kind] = append(key[:1:1], kept[kind]...)
	p.kept = kept
}

func (p *process) wants(kind, current string, known int) {
	p.t.Helper()
	set := p.Rings[kind].Set()
	if set.Current().ID != current || len(set) != known {
		p.t.Fatalf("%s %v, want %d with %s in front", kind, set, known, current)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestNewKeyWaitsForAll: it is current nowhere before everybody knows it, also not in a
// process that starts at this moment and has not read anything yet.
func TestNewKeyWaitsForAll(t *testing.T) {
	for _, kind := range []string{keyring.Master, keyring.Token} {
		t.Run(kind, func(t *testing.T) {
			d := newDeployment(t)
			a, b := d.started(), d.started()
			next := testkit.KeySet("k2")
			a.give(kind, next)
			a.step()
			b.step()
			a.step()
			a.wants(kind, "k1", 2)
			b.wants(kind, "k1", 1)
			b.give(kind, next)
			b.step() // now both know it, and this one sees that they do
			starting := d.process()
			starting.give(kind, next)
			b.wants(kind, "k2", 2)
			a.step()
			a.wants(kind, "k2", 2)
			_, err := starting.Start(t.Context())
			must(t, err)
			starting.wants(kind, "k2", 2)
		})
	}
}

func TestStartingProcessIsWaitedFor(t *testing.T) {
	d := newDeployment(t)
	a := d.started()
	starting := d.process()
	a.give(keyring.Token, testkit.KeySet("k2"))
	a.step()
	a.wants(keyring.Token, "k1", 2)
	starting.kept = a.kept
	_, err := starting.Start(t.Context())
	must(t, err)
	starting.step()
	a.step()
	a.wants(keyring.Token, "k2", 2)
}

// TestAddressKeyIsClaimedUnderFirst: it does not become current by itself.
func TestAddressKeyIsClaimedUnderFirst(t *testing.T) {
	d := newDeployment(t)
	a, b := d.started(), d.started()
	next := testkit.KeySet("k2")
	a.give(keyring.Address, next)
	a.step()
	if err := a.MakeCurrent(t.Context(), keyring.Address, "k2"); err == nil {
		t.Error("it became current, although one process claims under the old one only")
	}
	b.give(keyring.Address, next)
	b.step()
	a.step()
	b.wants(keyring.Address, "k1", 2)
	former := b.kept
	b.kept = d.first
	if err := b.Step(t.Context()); err == nil {
		t.Error("a key was forgotten under which others rely on claims")
	}
	b.wants(keyring.Address, "k1", 2)
	b.kept = former
	must(t, a.MakeCurrent(t.Context(), keyring.Address, "k2"))
	b.step()
	b.wants(keyring.Address, "k2", 2)
	b.kept = keyring.Sets{keyring.Master: d.first[keyring.Master], keyring.Token: d.first[keyring.Token], keyring.Address: next}
	b.step()
	b.wants(keyring.Address, "k2", 1)
}

// TestTroubleWithTheKeys leaves the former ones in use, and the process with the others.
func TestTroubleWithTheKeys(t *testing.T) {
	d := newDeployment(t)
	a := d.started()
	for name, spoil := range map[string]func(){
		"unreadable": func() { a.lost = errors.New("gone") },
		"another key": func() {
			a.kept = keyring.Sets{keyring.Master: testkit.KeySet("k1"), keyring.Token: d.first[keyring.Token], keyring.Address: d.first[keyring.Address]}
		},
		"without theirs": func() {
			a.kept = keyring.Sets{keyring.Master: testkit.KeySet("k9"), keyring.Token: d.first[keyring.Token], keyring.Address: d.first[keyring.Address]}
		},
	} {
		spoil()
		if err := a.Step(t.Context()); err == nil {
			t.Errorf("%s: nobody is told", name)
		}
		a.wants(keyring.Master, "k1", 1)
		must(t, a.Fresh())
		a.kept, a.lost = d.first, nil
		a.step()
	}
}

// TestGoneProcess is waited for as long as it may live, and then it registers nobody.
func TestGoneProcess(t *testing.T) {
	d := newDeployment(t)
	a, gone := d.started(), d.started()
	a.give(keyring.Token, testkit.KeySet("k2"))
	a.step()
	a.wants(keyring.Token, "k1", 2)
	_, err := d.pool.Exec(t.Context(), `UPDATE app.key_holders SET seen_at = now() - $1::interval WHERE NOT 'token:k2' = ANY(known)`, keyring.Life)
	must(t, err)
	a.step()
	a.wants(keyring.Token, "k2", 2)
	must(t, a.Fresh())
	if err := gone.Step(t.Context()); err == nil {
		t.Error("a process goes on without the current key")
	}
	gone.kept = a.kept
	gone.step()
	gone.wants(keyring.Token, "k2", 2)
	gone.Leave(t.Context())
	n, err := d.pool.Exec(t.Context(), `DELETE FROM app.key_holders`)
	if err != nil || n.RowsAffected() != 1 {
		t.Errorf("%d processes are left, %v", n.RowsAffected(), err)
	}
}

// TestNotFresh: a process that cannot tell of itself may be taken for gone.
func TestNotFresh(t *testing.T) {
	d := newDeployment(t)
	a := d.started()
	must(t, a.Fresh())
	keyring.Age(a.Follower, keyring.Life/2)
	if err := a.Fresh(); !errors.Is(err, keyring.ErrNotFresh) {
		t.Errorf("after half of its life: %v", err)
	}
	a.step()
	must(t, a.Fresh())
}
