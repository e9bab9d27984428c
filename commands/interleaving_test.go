package commands_test

import (
	"errors"
	"os"
	"slices"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
)

// exploration tries every schedule: stateless model checking with replay from
// the start. A state seen before is not followed again, since what follows from
// it depends on nothing else.
type exploration struct {
	schedule
	// preemptions bounds how often a client that could go on is interrupted;
	// negative for no bound. Most mistakes need few (Musuvathi and Qadeer, 2007).
	preemptions int
	// faults bounds the faults of all clients together; each has one at most.
	faults int

	// fences bounds how many are followed. Clients for whom no claim is too young
	// can fence each other for ever; each fence begins the same again under
	// another account id.
	fences int

	visited   map[visit]bool
	todo      [][]choice
	path      []choice // of the schedule that runs
	at        int      // the step of it that is next
	spent     visit
	schedules int
}

// visit is a state and what its bounds still allow.
type visit struct {
	state                uint64
	last                 int
	preemptions, faulted int
}

// explore returns the first violation and its schedule.
func (x *exploration) explore() (path []choice, violation error) {
	x.choose = x.next
	x.visited, x.todo = map[visit]bool{}, [][]choice{nil}
	for len(x.todo) > 0 {
		x.path = x.todo[len(x.todo)-1]
		x.todo = x.todo[:len(x.todo)-1]
		x.at, x.spent = 0, visit{}
		x.schedules++
		if err := x.run(); err != nil && !errors.Is(err, errCutShort) {
			return x.path, err
		}
	}
	return nil, nil
}

// next follows the prescribed path, then the first option, and notes the others.
func (x *exploration) next(state func() uint64, last int, options []choice) (choice, bool) {
	if x.at == len(x.path) {
		now := x.spent
		now.state, now.last = state(), last
		if x.preemptions < 0 {
			now.last = 0
		}
		allowed := slices.DeleteFunc(options, func(c choice) bool { return !x.affordable(c, last) })
		if x.visited[now] || x.store.fences() > x.fences {
			return choice{}, false
		}
		x.visited[now] = true
		for _, other := range allowed[1:] {
			x.todo = append(x.todo, append(slices.Clone(x.path), other))
		}
		x.path = append(x.path, allowed[0])
	}
	chosen := x.path[x.at]
	x.at++
	x.spend(chosen, last)
	return chosen, true
}

func (x *exploration) affordable(c choice, last int) bool {
	return (x.preemptions < 0 || x.spent.preemptions < x.preemptions || !x.preempts(c, last)) &&
		(c.fate == runs || x.spent.faulted < x.faults)
}

// preempts reports whether the last client could have gone on.
func (x *exploration) preempts(c choice, last int) bool {
	_, waits := x.waiting[last]
	return waits && c.client != last
}

func (x *exploration) spend(c choice, last int) {
	if x.preemptions >= 0 && x.preempts(c, last) {
		x.spent.preemptions++
	}
	if c.fate != runs {
		x.spent.faulted++
	}
}

func newExploration(clients []actor, preemptions, faults, fences int) *exploration {
	x := &exploration{preemptions: preemptions, faults: faults, fences: fences}
	x.clients, x.store = clients, &memoryStore{}
	return x
}

// thorough makes the explorations larger: minutes instead of seconds.
var thorough = os.Getenv("DAYBOOK_TEST_THOROUGH") != ""

// TestTwoRegistrants tries all interleavings of two, each with a fault at any of
// its calls.
func TestTwoRegistrants(t *testing.T) {
	explore(t, newExploration(registrants(2), -1, 2, 1))
	explore(t, newExploration(registrants(2), -1, 1, 2))
	if thorough {
		explore(t, newExploration(registrants(2), -1, 2, 3))
	}
}

// TestThreeRegistrants interrupts clients that could go on a bounded number of
// times.
func TestThreeRegistrants(t *testing.T) {
	explore(t, newExploration(registrants(3), 2, 1, 2))
	if thorough {
		explore(t, newExploration(registrants(3), 2, 3, 2))
		explore(t, newExploration(registrants(3), 3, 2, 2))
	}
}

// Views of the processes of a deployment whose key of addresses is being changed.
var (
	before = []string{oldKey}
	during = []string{oldKey, newKey}
	after  = []string{newKey, oldKey} // the new key is current
	ended  = []string{newKey}         // the old key is dropped
)

// TestRegistrantsWithDifferentKeys: at each point of a change two processes may be one
// step apart, or, where the one before has not ended, two.
func TestRegistrantsWithDifferentKeys(t *testing.T) {
	for _, views := range [][][]string{{before, during}, {during, after}, {after, ended}, {during, ended}} {
		explore(t, withViews(newExploration(registrants(2), 2, 1, 1), views...))
	}
	explore(t, withViews(newExploration(registrants(3), 0, 1, 1), before, during, before))
	for _, views := range [][][]string{{before, during}, {during, before}, {during, after}} {
		explore(t, withViews(changing(1, 1, registrant(1)), views...))
		explore(t, withViews(changing(1, 1, changer(numbered("account", 1))), views...))
	}
	if thorough {
		explore(t, withViews(newExploration(registrants(2), -1, 2, 1), before, during))
		explore(t, withViews(newExploration(registrants(2), -1, 2, 1), during, ended))
		explore(t, withViews(newExploration(registrants(3), 2, 1, 2), before, during, before))
		explore(t, withViews(changing(-1, 2, registrant(1)), before, during))
		explore(t, withViews(changing(-1, 2, registrant(1)), during, before))
	}
}

// withViews gives the last registrant the last one's view.
func withViews(x *exploration, views ...[]string) *exploration {
	x.views, x.store.last = views, views[len(views)-1]
	return x
}

// TestWithoutACommonKey is the test of the test: two steps apart from each other two
// processes give the address away twice.
func TestWithoutACommonKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := withViews(newExploration(registrants(2), 2, 0, 1), before, ended)
		if _, err := x.explore(); err == nil {
			t.Fatalf("no violation in %d schedules", x.schedules)
		}
	})
}

func explore(t *testing.T, x *exploration) {
	synctest.Test(t, func(t *testing.T) {
		path, err := x.explore()
		t.Logf("%d schedules, %d states", x.schedules, len(x.visited))
		if err != nil {
			t.Fatalf("%v\nafter %v", err, path)
		}
	})
}

// TestWithoutTheFence is the test of the test: a fence that is not written must
// be found out.
func TestWithoutTheFence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newExploration(registrants(2), -1, 0, 1)
		x.store.fenceless = true
		if _, err := x.explore(); err == nil {
			t.Fatalf("no violation in %d schedules", x.schedules)
		}
	})
}

// TestRandomRegistrants draws schedules of three and four clients.
func TestRandomRegistrants(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		picks := rapid.SliceOfN(rapid.IntRange(0, 1<<20), 0, 120).Draw(r, "schedule")
		s := schedule{clients: registrants(rapid.IntRange(3, 4).Draw(r, "clients")), store: &memoryStore{}}
		s.choose = func(_ func() uint64, _ int, options []choice) (choice, bool) {
			if len(picks) == 0 {
				return options[0], true
			}
			chosen := options[picks[0]%len(options)]
			picks = picks[1:]
			return chosen, true
		}
		var violation error
		synctest.Test(t, func(*testing.T) { violation = s.run() })
		if violation != nil {
			r.Fatal(violation)
		}
	})
}
