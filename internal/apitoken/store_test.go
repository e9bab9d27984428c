package apitoken_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/apitoken"
	"daybook/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

var both = []apitoken.Scope{apitoken.ReadAudit, apitoken.ReadPersonal}

func newStore(t *testing.T) *apitoken.Store {
	pool := testkit.Database(t)
	return &apitoken.Store{Pool: pool, Append: testkit.Repository(t, pool).Append, Producer: "test"}
}

func TestATokenIsHashedAtRestAndShownOnce(t *testing.T) {
	s := newStore(t)
	text, made, err := s.Create(t.Context(), "system:test", "nightly", both, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	secret := text[len("dbk_")+32+1:] // which may hold a "_" itself: it is base64url
	if !strings.HasPrefix(text, "dbk_"+strings.ReplaceAll(made.ID.String(), "-", "")+"_") || len(text) != len("dbk_")+32+1+43 {
		t.Errorf("token %q of %s", text, made.ID)
	}
	var row string
	if err := s.Pool.QueryRow(t.Context(), `SELECT to_jsonb(t)::text FROM app.api_tokens t`).Scan(&row); err != nil || strings.Contains(row, secret[:10]) {
		t.Errorf("stored as %s, %v", row, err)
	}
	before, err := s.List(t.Context())
	if err != nil || len(before) != 1 || before[0].Name != "nightly" || !before[0].LastUsedAt.IsZero() || before[0].State(time.Now()) != "active" {
		t.Fatalf("listed %+v, %v", before, err)
	}
	checked, err := s.Check(t.Context(), text)
	if err != nil || checked.ID != made.ID || !slices.Equal(checked.Scopes, both) {
		t.Errorf("checked %+v, %v", checked, err)
	}
	if after, err := s.List(t.Context()); err != nil || after[0].LastUsedAt.IsZero() {
		t.Errorf("the use was not noted: %+v, %v", after, err)
	}
}

func TestOnlyTheVeryTokenIsValid(t *testing.T) {
	s := newStore(t)
	text, made, err := s.Create(t.Context(), "system:test", "", both, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	other, expired, err := s.Create(t.Context(), "system:test", "", both, time.Now().Add(-time.Second))
	if err != nil || expired.State(time.Now()) != "expired" {
		t.Fatal(expired, err)
	}
	upper := "dbk_" + strings.ToUpper(text[4:36]) + text[36:]
	for _, token := range []string{"", "dbk_", "dbk__", text[:len(text)-1], text + "A", " " + text, text[4:], text[:37] + other[37:], other, upper, "dbk_" + strings.Repeat("g", 32) + "_x"} {
		if _, err := s.Check(t.Context(), token); !errors.Is(err, apitoken.ErrInvalid) {
			t.Errorf("%q: %v", token, err)
		}
	}
	if err := s.Revoke(t.Context(), "system:test", made.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Check(t.Context(), text); !errors.Is(err, apitoken.ErrInvalid) {
		t.Errorf("revoked: %v", err)
	}
	if err := s.Revoke(t.Context(), "system:test", uuid.New()); !errors.Is(err, apitoken.ErrUnknown) {
		t.Errorf("unknown: %v", err)
	}
}

// TestNoTokenWorksThatIsNotRecorded loses the event store.
func TestNoTokenWorksThatIsNotRecorded(t *testing.T) {
	s := newStore(t)
	away := errors.New("the store is away")
	s.Append = func(context.Context, domain.Append) ([]domain.Recorded, error) { return nil, away }
	if _, _, err := s.Create(t.Context(), "system:test", "", both, time.Now().Add(time.Hour)); !errors.Is(err, away) {
		t.Errorf("created: %v", err)
	}
	if tokens, err := s.List(t.Context()); err != nil || len(tokens) != 0 {
		t.Errorf("stored: %v, %v", tokens, err)
	}
}

func TestScopes(t *testing.T) {
	if scopes, err := apitoken.ParseScopes([]string{"audit:read", "audit:read:personal", "audit:read"}); err != nil || !slices.Equal(scopes, both) {
		t.Errorf("%v, %v", scopes, err)
	}
	for _, given := range [][]string{nil, {""}, {"audit"}, {"audit:read", "admin"}} {
		if scopes, err := apitoken.ParseScopes(given); err == nil {
			t.Errorf("%q is read as %v", given, scopes)
		}
	}
	for _, c := range []struct {
		has, wants apitoken.Scope
		may        bool
	}{
		{apitoken.ReadAudit, apitoken.ReadAudit, true}, {apitoken.ReadAudit, apitoken.ReadPersonal, false},
		{apitoken.ReadPersonal, apitoken.ReadAudit, true}, {apitoken.ReadPersonal, apitoken.ReadPersonal, true}, {"other", apitoken.ReadAudit, false},
	} {
		if got := (apitoken.Token{Scopes: []apitoken.Scope{c.has}}).May(c.wants); got != c.may {
			t.Errorf("%s for %s: %v", c.has, c.wants, got)
		}
	}
}
