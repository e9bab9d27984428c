package commands_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain"
)

func TestJourney(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	account := w.active(ada)
	if account.Status != domain.StatusActive || account.Email != ada || account.Profile.FirstName != "Ada" {
		t.Fatalf("after activation: %+v", account)
	}
	in := w.in(ada, secret)
	if in.Account.ID != account.ID || !w.valid(in) {
		t.Fatal("signed in, but the session is refused")
	}

	picture := commands.Thumbnail{ContentType: "image/png", Body: []byte("picture")}
	result, err := w.UpdateProfile(ctx, caller(), account.ID, commands.UpdateProfile{
		FirstName: new("Augusta"), PhoneNumber: new("+2348145359073"), BirthDate: new("1815-12-10"),
		GithubLink: new("https://github.com/ada"), Thumbnail: &picture,
	})
	if err == nil {
		t.Fatal("a birth date before 1900 passed")
	}
	result, err = w.UpdateProfile(ctx, caller(), account.ID, commands.UpdateProfile{
		FirstName: new("Augusta"), PhoneNumber: new("+2348145359073"), BirthDate: new("1915-12-10"),
		GithubLink: new("https://github.com/ada"), Thumbnail: &picture,
	})
	must(t, err)
	body, contentType, err := w.objects.Get(ctx, result.Account.Profile.Thumbnail)
	must(t, err)
	if !bytes.Equal(body, picture.Body) || contentType != picture.ContentType {
		t.Fatalf("stored %q as %s", body, contentType)
	}
	result, err = w.UpdateProfile(ctx, caller(), account.ID, commands.UpdateProfile{RemoveThumbnail: true, PhoneNumber: new("")})
	must(t, err)
	wanted := domain.Profile{FirstName: "Augusta", LastName: "Lovelace", BirthDate: "1915-12-10", GithubLink: "https://github.com/ada"}
	if result.Account.Profile != wanted || w.account(account.ID).Profile != wanted {
		t.Fatalf("profile %+v", result.Account.Profile)
	}

	_, second := w.secondToken(ada)
	must(t, w.ResetPassword(ctx, caller(), account.ID, second, newWords))
	if w.valid(in) {
		t.Fatal("an older session works after a reset")
	}
	in = w.in(ada, newWords)
	must(t, w.SignOut(ctx, caller(), in.Token))
	if w.valid(in) {
		t.Fatal("a session works after signing out")
	}
	must(t, w.SignOut(ctx, caller(), in.Token))
	access := w.events(domain.AccessStream(account.ID))
	if count[domain.SignedIn](access) != 2 || count[domain.SignedOut](access) != 1 {
		t.Fatalf("access events: %v", access)
	}
}

// TestMetadata looks at who did what.
func TestMetadata(t *testing.T) {
	w := newWorld(t)
	c := caller()
	c.RequestID, c.Traceparent = "request", "trace"
	must(t, w.Register(t.Context(), c, registration(ada)))
	for _, r := range w.events(domain.AccountStream(w.accountOf(ada).ID)) {
		m := r.Metadata
		if m.Command != "Register" || m.CommandID != c.CommandID || m.CorrelationID != "request" || m.RequestID != "request" ||
			m.Actor != domain.ActorAnonymous || m.Producer != "test" || m.Traceparent != "trace" || m.Schema != 1 {
			t.Errorf("metadata %+v", m)
		}
		if r.ID != domain.EventID(r.Stream, c.CommandID, int(r.Revision)) {
			t.Errorf("event id %s is not derived", r.ID)
		}
	}
}

func TestUpdateProfileRefusals(t *testing.T) {
	w := newWorld(t)
	account := w.active(ada)
	old := account.Version - 1
	for name, in := range map[string]commands.UpdateProfile{
		"name":  {FirstName: new(" ")},
		"phone": {PhoneNumber: new("12")},
		"link":  {GithubLink: new("https://gitlab.com/ada")},
		"date":  {BirthDate: new("1915-02-30")},
		"one of several": {
			FirstName: new("Fine"), LastName: new("\u0000"),
		},
	} {
		_, err := w.UpdateProfile(t.Context(), caller(), account.ID, in)
		if !domain.IsKind(err, domain.KindInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := w.UpdateProfile(t.Context(), caller(), account.ID, commands.UpdateProfile{FirstName: new("Late"), IfVersion: &old})
	want(t, err, domain.ErrVersion)
	_, err = w.UpdateProfile(t.Context(), caller(), uuid.New(), commands.UpdateProfile{FirstName: new("Nobody")})
	want(t, err, domain.ErrNotSignedIn)
	if after := w.account(account.ID); after.Revision != account.Revision {
		t.Fatalf("refused commands appended up to %d", after.Revision)
	}
}

func TestUnchangedProfileAppendsNothing(t *testing.T) {
	w := newWorld(t)
	account := w.active(ada)
	result, err := w.UpdateProfile(t.Context(), caller(), account.ID, commands.UpdateProfile{FirstName: new("Ada")})
	must(t, err)
	if result.Account.Revision != account.Revision || w.account(account.ID).Revision != account.Revision {
		t.Fatal("nothing changed, but something was appended")
	}
}

// TestParallelUpdates: two changes of different fields at once both count.
func TestParallelUpdates(t *testing.T) {
	w := newWorld(t)
	account := w.active(ada)
	for round := range 100 {
		first, last := "First"+letters(round), "Last"+letters(round)
		for _, err := range together(2, func(i int) error {
			in := commands.UpdateProfile{FirstName: &first}
			if i == 1 {
				in = commands.UpdateProfile{LastName: &last}
			}
			_, err := w.UpdateProfile(t.Context(), caller(), account.ID, in)
			return err
		}) {
			must(t, err)
		}
		if p := w.account(account.ID).Profile; p.FirstName != first || p.LastName != last {
			t.Fatalf("round %d: %+v", round, p)
		}
	}
}

func letters(n int) string { return string(rune('a'+n/26)) + string(rune('a'+n%26)) }

func TestRegisterRefusals(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(*commands.Register){
		"address":         func(r *commands.Register) { r.Email = "ada@example" },
		"first name":      func(r *commands.Register) { r.FirstName = "" },
		"last name":       func(r *commands.Register) { r.LastName = "\u202e" },
		"short password":  func(r *commands.Register) { r.Password = "short" },
		"common password": func(r *commands.Register) { r.Password = "password" },
	} {
		in := registration(ada)
		change(&in)
		if err := w.Register(t.Context(), caller(), in); !domain.IsKind(err, domain.KindInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	email, err := domain.ParseEmail(ada)
	must(t, err)
	claim, err := w.repository.Claim(t.Context(), email)
	must(t, err)
	if claim.Held {
		t.Fatal("a refused registration claimed the address")
	}
}

func TestRegisterTakenAddress(t *testing.T) {
	w := newWorld(t)
	account := w.active(ada)
	want(t, w.Register(t.Context(), caller(), registration("ADA@example.com")), domain.ErrAddressTaken)
	if w.notices.sent.Load() != 1 {
		t.Fatalf("%d notices to the owner", w.notices.sent.Load())
	}
	if w.accountOf(ada).Revision != account.Revision {
		t.Fatal("a stranger's registration moved the account")
	}
}

// TestSixteenRegistrationsAtOnce of one address make one account and ask for one
// mail. DAYBOOK_TEST_LONG makes it 1,000 rounds.
func TestSixteenRegistrationsAtOnce(t *testing.T) {
	w := newWorld(t)
	for range rounds(5) {
		email := uuid.NewString() + "@example.com"
		for _, err := range together(16, func(int) error {
			return patiently(func() error { return w.Register(t.Context(), caller(), registration(email)) })
		}) {
			must(t, err)
		}
		account := w.accountOf(email)
		events := w.events(domain.AccountStream(account.ID))
		if account.Status != domain.StatusPending || len(events) != 2 || count[domain.ActivationRequested](events) != 1 {
			t.Fatalf("status %s after %d events", account.Status, len(events))
		}
		if claims := w.events(account.AddressClaim); len(claims) != 1 {
			t.Fatalf("%d claims", len(claims))
		}
	}
}

// TestNoPlantedPassword: who registers a stranger's address first has nothing of
// it when the stranger registers and uses the own link.
func TestNoPlantedPassword(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	attack := registration(ada)
	attack.FirstName, attack.Password = "Mallory", "attackersChoice1"
	must(t, w.Register(ctx, caller(), attack))
	w.clock.advance(domain.ActivationMailInterval + time.Second)
	must(t, w.Register(ctx, caller(), registration(ada)))
	account := w.accountOf(ada)
	if len(account.Activations) != 2 {
		t.Fatalf("%d attempts", len(account.Activations))
	}
	attempt, err := w.Activation(ctx, account.ID, w.activationToken(account, 1))
	must(t, err)
	if attempt.Names.FirstName != "Ada" {
		t.Fatalf("the page would show %+v", attempt.Names)
	}
	result, err := w.Activate(ctx, caller(), account.ID, w.activationToken(account, 1))
	must(t, err)
	if result.Account.Profile.FirstName != "Ada" {
		t.Fatalf("the attacker's name stayed: %+v", result.Account.Profile)
	}
	if w.signsIn(ada, attack.Password) || !w.signsIn(ada, secret) {
		t.Fatal("the planted password works")
	}
	_, err = w.Activate(ctx, caller(), account.ID, w.activationToken(account, 0))
	want(t, err, domain.ErrActivationInvalid)
}

// TestRegisteringAgainSoon adds no attempt: nobody can flood a mailbox.
func TestRegisteringAgainSoon(t *testing.T) {
	w := newWorld(t)
	account := w.pending(ada)
	must(t, w.Register(t.Context(), caller(), registration(ada)))
	if w.accountOf(ada).Revision != account.Revision {
		t.Fatal("an attempt was added within the interval")
	}
}

func TestActivationRefusals(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	account := w.pending(ada)
	other := w.pending("bob@example.com")
	attempt := account.Activations[0]
	right := w.activationToken(account, 0)
	for name, token := range map[string]string{
		"empty": "", "garbage": "%%%", "cut": right[:len(right)-1], "longer": right + "A",
		"another account's": w.activationToken(other, 0),
		"another purpose":   w.token(domain.PurposeReset, account.ID, attempt.ID, attempt.ExpiresAt),
		"re-encoded":        reencoded(right),
		"another end":       w.token(domain.PurposeActivation, account.ID, attempt.ID, attempt.ExpiresAt.Add(time.Hour)),
	} {
		if _, err := w.Activate(ctx, caller(), account.ID, token); !errors.Is(err, domain.ErrActivationInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := w.Activation(ctx, account.ID, token); !errors.Is(err, domain.ErrActivationInvalid) {
			t.Errorf("page, %s: %v", name, err)
		}
	}
	_, err := w.Activate(ctx, caller(), uuid.New(), right)
	want(t, err, domain.ErrActivationInvalid)
	_, err = w.Activate(ctx, caller(), account.ID, right)
	must(t, err)
	_, err = w.Activate(ctx, caller(), account.ID, right)
	want(t, err, domain.ErrActivationInvalid)
	w.clock.advance(25 * time.Hour)
	_, err = w.Activate(ctx, caller(), other.ID, w.activationToken(other, 0))
	want(t, err, domain.ErrActivationInvalid)
}

func TestActivationMailAgain(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	want(t, w.RequestActivation(ctx, caller(), "nobody@example.com"), domain.ErrNotPending)
	want(t, w.RequestActivation(ctx, caller(), "nobody"), domain.ErrEmailInvalid)
	account := w.pending(ada)
	must(t, w.RequestActivation(ctx, caller(), ada))
	if again := w.accountOf(ada); len(again.Activations) != 1 || again.Revision != account.Revision+1 {
		t.Fatal("asking again gave another link")
	}
	w.clock.advance(13 * time.Hour)
	must(t, w.RequestActivation(ctx, caller(), ada))
	account = w.accountOf(ada)
	if len(account.Activations) != 2 {
		t.Fatal("no new link after half the life")
	}
	_, err := w.Activate(ctx, caller(), account.ID, w.activationToken(account, 0))
	must(t, err)
	want(t, w.RequestActivation(ctx, caller(), ada), domain.ErrNotPending)
}

// reencoded changes bits of the last character that decode to nothing.
func reencoded(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := bytes.IndexByte([]byte(alphabet), token[len(token)-1])
	return token[:len(token)-1] + string(alphabet[last^1])
}
