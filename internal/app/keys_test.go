package app_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"daybook/internal/app"
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

// TestKeyRotation puts a new key of each kind before the old ones. Links that were
// mailed before stay good, accounts are found and read; then the old master key
// wraps nothing any more and goes.
func TestKeyRotation(t *testing.T) {
	const email = "Rotated@example.com"
	set := settings(t)
	s, stop := run(t, set)
	s.signedIn(email)
	s.browser().post("/users/password-change/request-password-change/", map[string]any{"email": email})
	link := s.awaitMail(email, subjectReset, 1).link(t)
	if _, _, err := console(t, set, "keys", "rotate", "token"); err == nil || !strings.Contains(err.Error(), "end the service first") {
		t.Errorf("rotated under a running service: %v", err)
	}
	stop()
	for _, kind := range []string{"master", "token", "address"} {
		mustConsole(t, set, "keys", "rotate", kind)
		if ids := generated(t, set, kind); len(ids) != 2 || ids[0] == ids[1] {
			t.Fatalf("%s keys: %v", kind, ids)
		}
	}
	old := generated(t, set, "master")[1]

	s, stop = run(t, set)
	b := s.browser()
	want(t, b.changeByReset(b.openReset(link), "SomeOther123456"), http.StatusOK, "", "")
	want(t, b.signIn(email, "SomeOther123456"), http.StatusOK, "first_name", "Ann")
	s.afterRotation(t, set, email)
	mustConsole(t, set, "keys", "rewrap")
	stop()

	mustConsole(t, set, "keys", "retire", "master", old)
	if ids := generated(t, set, "master"); len(ids) != 1 || ids[0] == old {
		t.Fatalf("master keys: %v", ids)
	}
	s, stop = run(t, set)
	defer stop()
	want(t, s.browser().signIn(email, "SomeOther123456"), http.StatusOK, "first_name", "Ann")
	want(t, s.browser().signIn("new@example.com", goodPassword), http.StatusOK, "first_name", "Ann")
}

// afterRotation looks at what the new keys make, and that the old address key
// still guards its addresses.
func (s *service) afterRotation(t *testing.T, set app.Settings, email string) {
	t.Helper()
	s.register("new@example.com")
	link := s.awaitMail("new@example.com", subjectActivation, 1).link(t)
	if current := generated(t, set, "token")[0]; !strings.HasPrefix(tokenOf(link), current+".") {
		t.Errorf("token %s is not of key %s", tokenOf(link), current)
	}
	s.browser().post("/users/register/", map[string]any{"email": email, "first_name": "Eve", "last_name": "Il", "password": goodPassword})
	s.awaitMail(email, "You already have an account", 1)
	if n := len(s.mails(email)); n != 4 { // activation, reset, changed, and this one
		t.Errorf("%d mails: the address was given away twice", n)
	}
}

func TestKeysThatMustStay(t *testing.T) {
	set := settings(t)
	s, stop := run(t, set)
	s.register("kept@example.com")
	stop()
	mustConsole(t, set, "keys", "rotate", "master")
	ids := generated(t, set, "master")
	for refusal, args := range map[string][]string{
		"still wraps 1 data keys": {"master", ids[1]},
		"is current":              {"master", ids[0]},
		"address keys stay":       {"address", generated(t, set, "address")[0]},
		"there is no token key":   {"token", "gone"},
	} {
		if _, _, err := console(t, set, append([]string{"keys", "retire"}, args...)...); err == nil || !strings.Contains(err.Error(), refusal) {
			t.Errorf("retire %v: %v, want %q", args, err, refusal)
		}
	}
	list, _ := mustConsole(t, set, "keys", "list")
	if !strings.Contains(list, ids[0]) || !strings.Contains(list, ids[1]) || strings.Contains(list, "=") {
		t.Errorf("list:\n%s", list)
	}
	made, _ := mustConsole(t, set, "keys", "make")
	if _, _, err := console(t, set, "keys", "rotate", "token", "--token-keys", strings.TrimSpace(made)); err == nil || !strings.Contains(err.Error(), "not generated") {
		t.Errorf("rotated given keys: %v", err)
	}
}
