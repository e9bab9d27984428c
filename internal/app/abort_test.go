package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"daybook/internal/app"
	"daybook/internal/testkit"
)

// long reports whether the tests that take minutes were asked for.
func long() bool { return os.Getenv("DAYBOOK_TEST_LONG") != "" }

const (
	abortedOwners  = 6
	abortedClients = 24
)

// hammer aborts requests of several people at random moments.
type hammer struct {
	*service
	sessions []string
	names    atomic.Int64 // makes each written name another one

	whole, aborted, failed atomic.Int64
}

// TestAbortedRequests (C74): people's requests are aborted by the thousand at random
// moments, by clients that hang up and by cut connections of database and event
// store. No answer holds anything of somebody else, no connection stays taken, and
// the service is ready afterwards and shows everybody the own account.
func TestAbortedRequests(t *testing.T) {
	set := settings(t)
	keys := testkit.KeySet("k").String()
	set.MasterKeys, set.TokenKeys, set.AddressKeys = keys, keys, keys
	database, store := databaseProxy(t, set.DatabaseURL), startProxy(t, "tcp", startNode(t))
	set.DatabaseURL, set.EventStoreURL = through(t, set.DatabaseURL, database.addr), "esdb://"+store.addr+"?tls=false"
	s := startRoles(t, set, app.Everything)
	h := &hammer{service: s}
	for i := range abortedOwners {
		h.sessions = append(h.sessions, s.signedIn(abortedOwner(i)).session)
	}
	idle := s.app.Pool().Stat().AcquiredConns() // of who listens and holds a lease

	lasting := 8 * time.Second
	if long() {
		lasting = 2 * time.Minute
	}
	ctx, cancel := context.WithTimeout(t.Context(), lasting)
	defer cancel()
	var all sync.WaitGroup
	for range abortedClients {
		all.Go(func() { h.hammer(ctx) })
	}
	all.Go(func() { cutNowAndThen(ctx, database, store) })
	all.Wait()

	s.awaitReady()
	testkit.Await(t, 20*time.Second, "connections are given back", func() bool { return s.app.Pool().Stat().AcquiredConns() <= idle })
	for i := range abortedOwners {
		h.showsItsOwn(i)
	}
	t.Logf("%d whole answers, %d aborted, %d failures told", h.whole.Load(), h.aborted.Load(), h.failed.Load())
	if h.whole.Load() < 100 || h.aborted.Load() < 100 {
		t.Errorf("%d whole answers and %d aborted: that shows nothing", h.whole.Load(), h.aborted.Load())
	}
}

func abortedOwner(i int) string { return fmt.Sprintf("aborted-%d@example.com", i) }

// cutNowAndThen cuts the connections of one of the backends several times a second.
func cutNowAndThen(ctx context.Context, backends ...*proxy) {
	ticker := time.NewTicker(400 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			backends[rand.N(len(backends))].cut()
		case <-ctx.Done():
			return
		}
	}
}

// hammer makes requests of random people, most of which it does not wait for.
func (h *hammer) hammer(ctx context.Context) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2}}
	defer client.CloseIdleConnections()
	for ctx.Err() == nil {
		owner := rand.N(abortedOwners)
		patience := 20 * time.Second
		if rand.N(5) > 0 {
			patience = rand.N(12 * time.Millisecond)
		}
		h.ask(ctx, client, owner, patience)
	}
}

func (h *hammer) ask(ctx context.Context, client *http.Client, owner int, patience time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := h.request(ctx, owner)
	if err != nil {
		h.tb.Error(err)
		return
	}
	response, err := client.Do(request)
	if err != nil {
		h.aborted.Add(1)
		return
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	h.onlyTheOwn(owner, body) // of half an answer, too
	switch {
	case err != nil:
		h.aborted.Add(1)
	case response.StatusCode == http.StatusOK:
		h.whole.Add(1)
	case response.StatusCode >= http.StatusInternalServerError:
		h.failed.Add(1)
	default:
		h.tb.Errorf("%s: %d %s", request.URL.Path, response.StatusCode, body)
	}
}

func (h *hammer) request(ctx context.Context, owner int) (request *http.Request, err error) {
	paths := []string{"/users/current-user/", "/users/me/", "/users/me/history/", "/users/me/sessions/"}
	if n := rand.N(len(paths) + 2); n < len(paths) {
		request, err = http.NewRequestWithContext(ctx, http.MethodGet, h.URL+paths[n], nil)
	} else {
		body, contentType := form(h.tb, map[string]string{"first_name": fmt.Sprintf("Owner%dx%d", owner, h.names.Add(1))}, nil)
		request, err = http.NewRequestWithContext(ctx, http.MethodPatch, h.URL+"/users/update-user/", body)
		if err == nil {
			request.Header.Set("Content-Type", contentType)
		}
	}
	if err != nil {
		return nil, errors.Join(errors.New("make a request"), err)
	}
	request.AddCookie(&http.Cookie{Name: "sessionid", Value: h.sessions[owner]})
	return request, nil
}

// onlyTheOwn fails the test when an answer names somebody else.
func (h *hammer) onlyTheOwn(owner int, body []byte) {
	for other := range abortedOwners {
		if other != owner && (strings.Contains(string(body), abortedOwner(other)) || strings.Contains(string(body), fmt.Sprintf("Owner%dx", other))) {
			h.tb.Errorf("an answer to %d holds what belongs to %d: %s", owner, other, body)
		}
	}
}

func (h *hammer) showsItsOwn(owner int) {
	h.tb.Helper()
	b := h.browser()
	b.session = h.sessions[owner]
	a := b.get("/users/current-user/")
	var user struct{ Email string }
	if err := json.Unmarshal(a.Body, &user); err != nil || a.Status != http.StatusOK || user.Email != abortedOwner(owner) {
		h.tb.Errorf("owner %d: %d %s", owner, a.Status, a.Body)
	}
	h.onlyTheOwn(owner, a.Body)
}
