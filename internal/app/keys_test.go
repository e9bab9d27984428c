package app_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"daybook/domain"
	"daybook/internal/app"
	"daybook/internal/eventstore"
	"daybook/internal/testkit"
)

// generated reads the ids of the generated keys, the current one first.
func generated(t *testing.T, s app.Settings, kind string) (ids []string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(s.DataDir, "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	file := map[string]string{}
	if err := json.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	for key := range strings.SplitSeq(file[kind], ",") {
		id, _, _ := strings.Cut(key, ":")
		ids = append(ids, id)
	}
	return ids
}

// TestKeysChangeWhileRunning puts a new key of each kind before the old ones and drops
// the old ones, while the service runs. Links that were mailed before stay good,
// accounts are found and read, addresses stay taken.
func TestKeysChangeWhileRunning(t *testing.T) {
	set := settings(t)
	s, stop := run(t, set)
	first := "First@example.com"
	s.signedIn(first)
	s.browser().post("/users/password-change/request-password-change/", map[string]any{"email": first})
	link := s.awaitMail(first, subjectReset, 1).link(t)

	token := rotate(t, set, "token")
	awaitState(t, set, "token", token[0], "current")
	awaitRefusal(t, set, "work until", "keys", "retire", "token", token[1]) // it has links
	b := s.browser()
	want(t, b.changeByReset(b.openReset(link), "SomeOther123456"), http.StatusOK, "", "")
	s.register("second@example.com")
	if mailed := s.awaitMail("second@example.com", subjectActivation, 1).link(t); !strings.HasPrefix(tokenOf(mailed), token[0]+".") {
		t.Errorf("token %s is not of key %s", tokenOf(mailed), token[0])
	}

	master := rotate(t, set, "master")
	mustConsole(t, set, "keys", "rewrap")
	address := rotate(t, set, "address")
	awaitState(t, set, "address", address[0], "coming")
	s.register("third@example.com")
	mustConsole(t, set, "keys", "rewrap", "address")
	awaitState(t, set, "address", address[0], "current")
	s.nobodyLost(first)
	awaitConsole(t, set, "keys", "retire", "master", master[1])
	awaitRefusal(t, set, "still be at work", "keys", "retire", "address", address[1])
	awaitConsole(t, set, "keys", "retire", "address", address[1], "--force")
	mustConsole(t, set, "keys", "retire", "token", token[1], "--force")
	s.nobodyLost(first)
	stop()

	s, stop = run(t, set)
	defer stop()
	s.nobodyLost(first)
	for _, kind := range []string{"master", "token", "address"} {
		if ids := generated(t, set, kind); len(ids) != 1 {
			t.Errorf("%s keys: %v", kind, ids)
		}
	}
}

// rotate makes a new key and returns its id and that of the one before.
func rotate(t *testing.T, set app.Settings, kind string) []string {
	t.Helper()
	mustConsole(t, set, "keys", "rotate", kind)
	ids := generated(t, set, kind)
	if len(ids) != 2 || ids[0] == ids[1] {
		t.Fatalf("%s keys: %v", kind, ids)
	}
	return ids
}

// awaitState waits until the list says the state of the key and that all know it.
func awaitState(t *testing.T, set app.Settings, kind, id, state string) {
	t.Helper()
	line := regexp.MustCompile(`(?m)^` + kind + ` +` + id + ` +` + state + ` .* 0 processes$`)
	testkit.Await(t, 20*time.Second, kind+" key "+id+" is "+state, func() bool {
		list, _ := mustConsole(t, set, "keys", "list")
		return line.MatchString(list)
	})
}

// awaitConsole repeats what is refused while a process is a second behind.
func awaitConsole(t *testing.T, set app.Settings, args ...string) {
	t.Helper()
	if err := settled(t, set, args...); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
}

func awaitRefusal(t *testing.T, set app.Settings, refusal string, args ...string) {
	t.Helper()
	if err := settled(t, set, args...); err == nil || !strings.Contains(err.Error(), refusal) {
		t.Errorf("%v: %v, want %q", args, err, refusal)
	}
}

func settled(t *testing.T, set app.Settings, args ...string) (err error) {
	t.Helper()
	testkit.Await(t, 20*time.Second, strings.Join(args, " "), func() bool {
		_, _, err = console(t, set, args...)
		return err == nil || !strings.Contains(err.Error(), "try again in a moment")
	})
	return err
}

// nobodyLost signs in everybody of the test, and finds their addresses taken.
func (s *service) nobodyLost(first string) {
	s.tb.Helper()
	for email, password := range map[string]string{first: "SomeOther123456", "second@example.com": goodPassword, "third@example.com": goodPassword} {
		if a := s.browser().signIn(email, password); a.Status != http.StatusOK {
			s.tb.Errorf("%s is locked out: %d %s", email, a.Status, a.Body)
		}
		s.browser().post("/users/register/", map[string]any{"email": email, "first_name": "Eve", "last_name": "Il", "password": goodPassword})
	}
	for email, n := range addressOwners(s.tb, s.app.Repository()) {
		if n != 1 {
			s.tb.Errorf("%d accounts own %s", n, email)
		}
	}
}

// addressOwners counts the accounts that own each address, as their streams say.
func addressOwners(tb testing.TB, repository *eventstore.Repository) map[string]int {
	tb.Helper()
	counts := map[string]int{}
	for stored, err := range repository.Client.ReadAll(tb.Context(), 0) {
		if err != nil {
			tb.Fatal(err)
		}
		id, ok := domain.StreamSubject(stored.Stream)
		if !ok || stored.Revision != 0 || !domain.IsAccountStream(stored.Stream) {
			continue
		}
		account, err := repository.Account(tb.Context(), id)
		if err != nil {
			tb.Fatal(err)
		}
		if account.OwnsAddress() {
			counts[strings.ToLower(account.Email)]++
		}
	}
	return counts
}

func TestKeysThatMustStay(t *testing.T) {
	set := settings(t)
	s, stop := run(t, set)
	s.register("kept@example.com")
	stop()
	mustConsole(t, set, "keys", "rotate", "master")
	mustConsole(t, set, "keys", "list") // the new key is introduced
	ids := generated(t, set, "master")
	made, _ := mustConsole(t, set, "keys", "make")
	for refusal, args := range map[string][]string{
		"is current; rotate":    {"retire", "master", ids[1]},
		"is current":            {"retire", "address", generated(t, set, "address")[0]},
		"there is no token key": {"retire", "token", "gone"},
		"not generated":         {"rotate", "token", "--token-keys", strings.TrimSpace(made)},
	} {
		if _, _, err := console(t, set, append([]string{"keys"}, args...)...); err == nil || !strings.Contains(err.Error(), refusal) {
			t.Errorf("%v: %v, want %q", args, err, refusal)
		}
	}
	list, _ := mustConsole(t, set, "keys", "list")
	if !strings.Contains(list, ids[0]) || !strings.Contains(list, ids[1]) || strings.Contains(list, "=") {
		t.Errorf("list:\n%s", list)
	}
	_, stop = run(t, set)
	awaitState(t, set, "master", ids[0], "current")
	awaitRefusal(t, set, "still wraps 2 data keys", "keys", "retire", "master", ids[1]) // of an account, and of ids
	stop()
}
