package app_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"daybook/internal/app"
	"daybook/internal/testkit"
)

func picture(tb testing.TB, width, height int) []byte {
	tb.Helper()
	canvas := image.NewRGBA(image.Rect(0, 0, width, height))
	for x := range width {
		for y := range height {
			canvas.Set(x, y, color.RGBA{uint8(30 + 170*x/width), 60, uint8(60 + 120*y/height), 255})
		}
	}
	var encoded bytes.Buffer
	if err := png.Encode(&encoded, canvas); err != nil {
		tb.Fatal(err)
	}
	return encoded.Bytes()
}

// TestJourney is a person's whole way, in both contracts, through HTTP and mail
// alone.
func TestJourney(t *testing.T) {
	for _, contract := range []string{"hardened", "seed"} {
		t.Run(contract, func(t *testing.T) {
			t.Parallel()
			s := settings(t)
			s.Contract = contract
			journey(t, start(t, s))
		})
	}
}

// TestJourneyEmbedded goes the same way with every backend embedded.
func TestJourneyEmbedded(t *testing.T) {
	s := settings(t)
	s.DatabaseURL = ""
	s.DataDir = reachableDir(t)
	journey(t, start(t, s))
}

func journey(t *testing.T, s *service) {
	const email, newPassword = "Ann.Lee@example.com", "SomeOther123456"
	b := s.browser()
	a := b.post("/users/register/", map[string]any{"email": email, "first_name": "Ann", "last_name": "Lee", "password": goodPassword})
	want(t, a, http.StatusCreated, "message", "Your account was created successfully. Check your email address to activate your account as we just sent you an activation link. Ensure you activate your account before the link expires")
	want(t, b.signIn(email, goodPassword), http.StatusBadRequest, "error", "Email and password do not match")

	link := s.awaitMail(email, subjectActivation, 1).link(t)
	wantRedirect(t, b.activate(link), s.app.URL()+"/auth/confirmed")
	wantRedirect(t, b.activate(link), s.app.URL()+"/auth/regenerate-token?reason=It%20appears%20that%20your%20confirmation%20token%20has%20expired%20or%20previously%20used.%20Kindly%20generate%20a%20new%20token")

	want(t, b.signIn(email, goodPassword), http.StatusOK, "email", email)
	if a := b.signIn("ann.lee@EXAMPLE.com", goodPassword); a.Status != http.StatusOK {
		t.Errorf("another spelling of the address: %d %s", a.Status, a.Body)
	}
	profile(t, b)

	want(t, b.do(http.MethodPost, "/users/logout/", strings.NewReader("not json"), ""), http.StatusOK, "message", "You have successfully logged out")
	want(t, b.get("/users/current-user/"), http.StatusUnauthorized, "error", "You are not logged in. Kindly ensure you are logged in and try again")

	token := b.requestReset(email, 1)
	want(t, b.changeByReset(token, "short"), http.StatusBadRequest, "", "")
	want(t, b.changeByReset(token, newPassword), http.StatusOK, "message", "Your password has been changed successfully. Kindly login with the new password")
	want(t, b.changeByReset(token, newPassword), http.StatusBadRequest, "error", "It appears that your password request token has expired or previously used")
	s.awaitMail(email, subjectChanged, 1)
	want(t, b.signIn(email, goodPassword), http.StatusBadRequest, "error", "Email and password do not match")
	want(t, b.signIn(email, newPassword), http.StatusOK, "first_name", "Grace")
}

// profile edits every field and looks at the answer, the query and the picture.
func profile(t *testing.T, b *browser) {
	t.Helper()
	a := b.patch(map[string]string{
		"first_name": "Grace", "phone_number": "+2348145359073", "birth_date": "1999-12-31",
		"github_link": "https://github.com/golang", "last_name": "",
	}, picture(t, 900, 300))
	want(t, a, http.StatusOK, "first_name", "Grace")
	for _, a := range []answer{a, b.get("/users/current-user/"), b.get("/users/current-user")} {
		inner, _ := a.JSON["profile"].(map[string]any)
		if a.text("last_name") != "Lee" || inner["phone_number"] != "+2348145359073" || inner["birth_date"] != "1999-12-31" || inner["github_link"] != "https://github.com/golang" {
			t.Fatalf("profile: %s", a.Body)
		}
	}
	shown := b.get(mustPath(t, a.text("thumbnail")))
	config, _, err := image.DecodeConfig(bytes.NewReader(shown.Body))
	if err != nil || config.Width != 512 || shown.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("thumbnail: %v %+v %v", err, config, shown.Header)
	}
	if again := b.patch(map[string]string{"first_name": "Grace"}, nil); again.JSON["version"] != a.JSON["version"] {
		t.Errorf("a change of nothing moved the version from %v to %v", a.JSON["version"], again.JSON["version"])
	}
}

func mustPath(t *testing.T, link string) string {
	t.Helper()
	parsed, err := url.Parse(link)
	if err != nil || parsed.Path == "" {
		t.Fatalf("no link: %q", link)
	}
	return parsed.Path
}

func want(t *testing.T, a answer, status int, member, value string) {
	t.Helper()
	if a.Status != status || member != "" && a.text(member) != value {
		t.Fatalf("got %d %s, want %d %s=%q", a.Status, a.Body, status, member, value)
	}
	if status >= 400 && (a.text("error") == "" || a.Header.Get("Content-Type") != "application/problem+json") {
		t.Fatalf("not a problem document: %s %s", a.Header.Get("Content-Type"), a.Body)
	}
}

func wantRedirect(t *testing.T, a answer, location string) {
	t.Helper()
	if a.Status != http.StatusFound && a.Status != http.StatusSeeOther || a.Header.Get("Location") != location {
		t.Fatalf("got %d to %q, want a redirect to %q", a.Status, a.Header.Get("Location"), location)
	}
}

// TestProjectorStopped repeats what matters with every projector stopped:
// nothing changes, because nothing is decided from a view.
func TestProjectorStopped(t *testing.T) {
	roles := app.Everything
	roles.Projector = false
	s := startRoles(t, settings(t), roles)
	const email = "frozen@example.com"
	old := s.signedIn(email)
	want(t, old.patch(map[string]string{"first_name": "Grace"}, nil), http.StatusOK, "first_name", "Grace")
	began := time.Now()
	want(t, old.get("/users/current-user/"), http.StatusOK, "first_name", "Grace")
	if waited := time.Since(began); waited > 2*time.Second {
		t.Errorf("waited %v for a view that does not come", waited)
	}
	fresh := s.browser()
	token := fresh.requestReset(email, 1)
	want(t, fresh.changeByReset(token, "SomeOther123456"), http.StatusOK, "", "")
	want(t, old.get("/users/current-user/"), http.StatusUnauthorized, "", "")
	want(t, fresh.changeByReset(token, "123456Data"), http.StatusBadRequest, "", "")
	want(t, fresh.signIn(email, "SomeOther123456"), http.StatusOK, "first_name", "Grace")
	want(t, fresh.post("/users/logout/", nil), http.StatusOK, "", "")
	want(t, fresh.get("/users/current-user/"), http.StatusUnauthorized, "", "")
}

func TestParallelRegistrations(t *testing.T) {
	s := start(t, settings(t))
	const email, rivals = "same@example.com", 16
	statuses := make(chan int, rivals)
	for range rivals {
		go func() {
			body := strings.NewReader(`{"email":"same@example.com","first_name":"A","last_name":"B","password":"12345SomeData"}`)
			a, err := s.browser().try(http.MethodPost, "/users/register/", body, "application/json")
			if err != nil {
				t.Error(err)
			}
			statuses <- a.Status
		}()
	}
	for range rivals {
		if status := <-statuses; status != http.StatusCreated && status != http.StatusServiceUnavailable {
			t.Errorf("status %d", status)
		}
	}
	b := s.browser()
	b.activate(s.awaitMail(email, subjectActivation, 1).link(t))
	want(t, b.signIn(email, goodPassword), http.StatusOK, "email", email)
	if n := len(s.mails(email)); n != 1 {
		t.Errorf("%d mails for one account", n)
	}
}

func TestParallelEditsLoseNothing(t *testing.T) {
	s := start(t, settings(t))
	b := s.signedIn("editor@example.com")
	for _, round := range []string{"One", "Two", "Three", "Four", "Five"} {
		done := make(chan answer, 2)
		for _, field := range []string{"first_name", "last_name"} {
			body, contentType := form(t, map[string]string{field: round}, nil)
			go func() {
				a, err := b.try(http.MethodPatch, "/users/update-user/", body, contentType)
				if err != nil {
					t.Error(err)
				}
				done <- a
			}()
		}
		for range 2 {
			if a := <-done; a.Status != http.StatusOK {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
		}
		a := b.get("/users/current-user/")
		if a.text("first_name") != round || a.text("last_name") != round {
			t.Fatalf("lost an update: %s", a.Body)
		}
	}
}

func TestIdempotencyKey(t *testing.T) {
	s := start(t, settings(t))
	b := s.signedIn("twice@example.com")
	key := []string{"Idempotency-Key", "the-same"}
	first := b.patch(map[string]string{"first_name": "Once"}, nil, key...)
	want(t, b.patch(map[string]string{"first_name": "Later"}, nil), http.StatusOK, "first_name", "Later")
	second := b.patch(map[string]string{"first_name": "Once"}, nil, key...)
	want(t, first, http.StatusOK, "first_name", "Once")
	want(t, second, http.StatusOK, "first_name", "Later") // applied once; the answer is the account as it is
	want(t, b.patch(map[string]string{"first_name": "Other"}, nil, key...), http.StatusConflict, "", "")
}

// reachableDir is a directory that Postgres's own user can reach.
func reachableDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	testkit.OpenParents(t, dir)
	return dir
}
