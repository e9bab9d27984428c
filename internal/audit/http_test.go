package audit_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/apitoken"
)

func TestWithoutAGoodTokenNothingIsShown(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	good := s.token(apitoken.ReadAudit)
	last := "A"
	if strings.HasSuffix(good, last) {
		last = "B"
	}
	expired, _, err := s.tokens.Create(t.Context(), "system:test", "", []apitoken.Scope{apitoken.ReadAudit}, time.Now().Add(-time.Second))
	if err != nil {
		t.Fatal(err)
	}
	before := len(s.truth())
	for what, header := range map[string][]string{
		"nothing": {}, "no token": {"Authorization", "Bearer "}, "another": {"Authorization", "Bearer " + good[:len(good)-1] + last},
		"cut": {"Authorization", "Bearer " + good[:40]}, "basic": {"Authorization", "Basic " + good}, "bare": {"Authorization", good},
		"twice": {"Authorization", "Bearer " + good, "Authorization", "Bearer " + good}, "cookie": {"Cookie", "sessionid=" + good},
		"NUL": {"Authorization", "Bearer dbk_" + strings.Repeat("0", 32) + "_\x80"}, "expired": {"Authorization", "Bearer " + expired},
	} {
		response := s.get("", "limit=x", header...)
		if code := problemOf(t, response, http.StatusUnauthorized); code != "invalid_token" {
			t.Errorf("%s: %s", what, code)
		}
		challenge := response.Header.Get("WWW-Authenticate")
		if !strings.HasPrefix(challenge, "Bearer ") || response.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", what, response.Header)
		}
	}
	powerless := s.token(apitoken.ReadAudit)
	if _, err := s.pool.Exec(t.Context(), `UPDATE app.api_tokens SET scopes = '{something:else}' WHERE token_hash = sha256($1)`, []byte(powerless)); err != nil {
		t.Fatal(err)
	}
	response := s.get(powerless, "")
	problemOf(t, response, http.StatusForbidden)
	if got := response.Header.Get("WWW-Authenticate"); !strings.Contains(got, `scope="audit:read"`) {
		t.Errorf("challenge %q", got)
	}
	if now := len(s.truth()); now != before+1 { // the powerless token
		t.Errorf("refusals left %d events", now-before-1)
	}
	problemOf(t, s.get("", "access_token="+good), http.StatusUnauthorized)
}

func TestBadQueriesAreRefused(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	token := s.token(apitoken.ReadAudit)
	good := s.cursors.At(0)
	for _, query := range []string{
		"after=", "after=" + good[:len(good)-1] + "%00", "after=x", after(good) + "&" + after(good), after(s.cursors.At(1 << 62)),
		"limit=0", "limit=-1", "limit=100001", "limit=99999999999999999999", "limit=1e3", "limit=",
		"account=x", "account=" + strings.ToUpper(uuid.NewString()), "account=" + uuid.Nil.String(), "type=Nothing", "type=", "type=AuditRead,",
		"since=yesterday", "until=2026-13-01T00:00:00Z", "since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", "follow=yes", "acount=x", "%zz", "a;b",
	} {
		problemOf(t, s.get(token, query), http.StatusBadRequest)
	}
	problemOf(t, s.get(token, "follow=true", "Last-Event-ID", "x"), http.StatusBadRequest)
	if head, err := http.NewRequestWithContext(t.Context(), http.MethodHead, s.url+"/audit/events", nil); err == nil {
		head.Header.Set("Authorization", "Bearer "+token)
		if response, err := http.DefaultClient.Do(head); err != nil || response.StatusCode != http.StatusOK {
			t.Errorf("HEAD: %v %v", response, err)
		}
	}
	if lines := s.lines(token, "type=AuditRead"); len(lines) != 0 {
		t.Errorf("refused and empty requests are recorded: %v", lines)
	}
}

func TestEveryUseIsRecorded(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	token := s.token(apitoken.ReadAudit, apitoken.ReadPersonal)
	account := uuid.New()
	s.lines(token, "account="+account.String()+"&type=SignedIn,SignedOut&since=2026-01-01T00:00:00Z&limit=7")
	lines := s.lines(token, "type=AuditRead,TokenCreated")
	if types(lines) != "TokenCreated AuditRead" {
		t.Fatalf("recorded: %s", types(lines))
	}
	var read domain.AuditRead
	if err := json.Unmarshal(lines[1].Data, &read); err != nil {
		t.Fatal(err)
	}
	if read.TokenID == nil || !read.Opened || read.Follow || read.After != 0 || *read.Account != account || read.Limit != 7 || read.Since == nil || read.Until != nil ||
		!slices.Equal(read.Types, []string{"SignedIn", "SignedOut"}) {
		t.Errorf("recorded %s", lines[1].Data)
	}
	var written domain.Metadata
	if err := json.Unmarshal(lines[1].Metadata, &written); err != nil || written.Actor != domain.OperatorActor(read.TokenID.String()) || written.RequestID == "" {
		t.Errorf("metadata %s, %v", lines[1].Metadata, err)
	}
	if _, secret, _ := strings.Cut(strings.TrimPrefix(token, "dbk_"), "_"); strings.Contains(types(lines)+string(lines[0].Data)+string(lines[0].Metadata), secret) {
		t.Error("the token is in its event")
	}
}

func TestWhatCannotBeRecordedIsNotShown(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	token := s.token(apitoken.ReadAudit)
	s.node.Stop(t)
	response := s.get(token, "")
	problemOf(t, response, http.StatusServiceUnavailable)
	if response.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	token := s.token(apitoken.ReadAudit)
	account, other := s.register("a@example.org"), s.register("b@example.org")
	write := func(stream string, at time.Time, events ...domain.Event) {
		t.Helper()
		if _, err := s.repository.Append(t.Context(), domain.Append{Stream: stream, Expected: domain.AnyRevision, Events: events, Metadata: metadata(at)}); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	write(domain.AddressStream("k", []byte{1}), old, domain.AddressClaimed{AccountID: account})
	write(domain.AddressStream("k", []byte{2}), old.Add(time.Hour), domain.AddressClaimed{AccountID: other})
	write(domain.AccessStream(account), old.Add(2*time.Hour), domain.SignInRefused{Count: 1, From: old, To: old})
	write(domain.AccessStream(other), old.Add(3*time.Hour), domain.SignInRefused{Count: 1, From: old, To: old})
	for query, want := range map[string]string{
		"account=" + account.String():                               "AccountRegistered AddressClaimed SignInRefused",
		"account=" + account.String() + "&type=SignInRefused":       "SignInRefused",
		"account=" + uuid.NewString():                               "",
		"type=AccountRegistered":                                    "AccountRegistered AccountRegistered",
		"until=2026-01-01T03:00:00Z":                                "AddressClaimed AddressClaimed SignInRefused",
		"since=2026-01-01T01:00:00Z&until=2026-01-01T02:00:00.001Z": "AddressClaimed SignInRefused",
		"type=AddressClaimed&limit=1":                               "AddressClaimed",
	} {
		if got := types(s.lines(token, query)); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

// TestPages walks through the store by pages; the trailer leads on from a page
// that the filter left empty.
func TestPages(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	token := s.token(apitoken.ReadAudit)
	s.fill(95, "")
	cursor, seen := s.cursors.At(0), 0
	for page := 10; page == 10; {
		lines := s.lines(token, after(cursor)+"&type=SignInRefused&limit="+strconv.Itoa(page))
		page = len(lines)
		seen += page
		if page > 0 {
			cursor = lines[page-1].Cursor
		}
	}
	if seen != 95 {
		t.Errorf("%d events in pages", seen)
	}
	response := s.get(token, "type=StaffGranted")
	if read, whole, err := cut(response.Body, 1<<20); read != "" || !whole || err != nil {
		t.Fatalf("%q %v %v", read, whole, err)
	}
	trailer := response.Trailer.Get("Daybook-Cursor")
	if lines := s.lines(token, after(trailer)); types(lines) != "AuditRead" {
		t.Errorf("behind the trailer: %s", types(lines))
	}
}

// TestALimitEndsBeforeWhatItLeavesOut: what a client asks for behind the trailer of
// a page goes on where the page ended.
func TestALimitEndsBeforeWhatItLeavesOut(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	token := s.token(apitoken.ReadAudit)
	s.fill(10, "")
	cursor := s.cursors.At(0)
	for range 10 {
		response := s.get(token, after(cursor)+"&type=SignInRefused&limit=1")
		read, whole, err := cut(response.Body, 1<<20)
		lines := parseLines(t, read)
		if len(lines) != 1 || !whole || err != nil {
			t.Fatalf("a page of %d lines, %v", len(lines), err)
		}
		if cursor = response.Trailer.Get("Daybook-Cursor"); cursor != lines[0].Cursor {
			t.Fatal("the trailer leads beyond the page's last line")
		}
	}
}

func TestReadersAreBounded(t *testing.T) {
	t.Parallel()
	s := newStand(t, single)
	token := s.token(apitoken.ReadAudit)
	first := s.get(token, "follow=true")
	if code := problemOf(t, s.get(token, ""), http.StatusServiceUnavailable); code != "too_many_readers" {
		t.Errorf("code %s", code)
	}
	_ = first.Body.Close()
	s.awaitPlace(token)
}
