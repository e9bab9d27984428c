package audit_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/api"
	"daybook/domain"
	"daybook/internal/apitoken"
	"daybook/internal/audit"
	"daybook/internal/testkit"
)

// single lets one reader in at a time.
func single(c *audit.Config, _ *api.Audit) { c.MaxReaders = 1 }

// awaitPlace waits until the one place is free again.
func (s *stand) awaitPlace(token string) {
	s.tb.Helper()
	testkit.Await(s.tb, 10*time.Second, "the reader gives its place back", func() bool {
		response := s.get(token, "limit=1")
		defer func() { _ = response.Body.Close() }()
		return response.StatusCode == http.StatusOK
	})
}

// events is how many are replayed.
const events = 100_000

// traveller replays with cuts, now as NDJSON and now as an event stream.
type traveller struct {
	*stand
	token     string
	cursor    string
	positions []uint64
}

// step reads at most n bytes, cuts the connection and keeps what came whole. It
// reports whether the replay came to its end.
func (v *traveller) step(n int64) (whole bool) {
	v.tb.Helper()
	query, header := "", []string{}
	follow := rand.N(2) == 0
	if v.cursor != "" {
		query = after(v.cursor)
	}
	if follow {
		query = "follow=true"
		header = []string{"Last-Event-ID", v.cursor}
	}
	response := v.get(v.token, query, header...)
	if response.StatusCode != http.StatusOK {
		v.tb.Fatalf("status %d", response.StatusCode)
	}
	var read string
	var err error
	if follow {
		read, err = v.listen(response.Body, n)
	} else {
		read, whole, err = cut(response.Body, n)
	}
	if err != nil {
		v.tb.Fatal(err)
	}
	_ = response.Body.Close()
	if follow {
		v.takeStream(read)
	} else {
		v.take(read[:strings.LastIndexByte(read, '\n')+1])
	}
	return whole
}

// listen reads an event stream, which has no end, until n bytes or until
// nothing more comes.
func (v *traveller) listen(body io.Reader, n int64) (string, error) {
	var buffer strings.Builder
	read := make(chan int64, 1)
	go func() {
		n, _ := io.CopyN(&buffer, body, n) // fewer is told by n
		read <- n
	}()
	select {
	case got := <-read:
		if got < n {
			return "", fmt.Errorf("an event stream ended after %d bytes", got)
		}
		return buffer.String(), nil
	case <-time.After(500 * time.Millisecond):
		_ = body.(io.Closer).Close()
		<-read
		return buffer.String(), nil
	}
}

func (v *traveller) take(whole string) {
	for _, line := range parseLines(v.tb, whole) {
		v.positions = append(v.positions, line.Position)
		v.cursor = line.Cursor
	}
}

// takeStream takes events as the standard of event streams says: an event counts
// when its blank line has come.
func (v *traveller) takeStream(read string) {
	for _, block := range strings.SplitAfter(read, "\n\n") {
		if !strings.HasSuffix(block, "\n\n") {
			continue
		}
		var data strings.Builder
		id := ""
		for line := range strings.Lines(block) {
			if text, ok := strings.CutPrefix(line, "data: "); ok {
				data.WriteString(text)
			}
			if text, ok := strings.CutPrefix(line, "id: "); ok {
				id = strings.TrimSpace(text)
			}
		}
		v.take(data.String())
		if id != "" {
			v.cursor = id
		}
	}
}

// TestReplayWithCuts replays with the connection cut at random bytes and resumed:
// no gap, no duplicate.
func TestReplayWithCuts(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.fill(events, "")
	v := &traveller{stand: s, token: s.token(apitoken.ReadAudit)}
	average := int64(events) * 700 / 60
	cuts := 0
	for !v.step(rand.N(2 * average)) {
		cuts++
	}
	truth := s.truth()
	if len(v.positions) < events || !slices.Equal(v.positions, truth[:len(v.positions)]) {
		t.Fatalf("%d events of %d came, not in order or not all", len(v.positions), len(truth))
	}
	if missing := len(truth) - len(v.positions); missing > 1 { // the record of the last request
		t.Errorf("%d events were not delivered", missing)
	}
	t.Logf("%d events, cut %d times", len(v.positions), cuts)
}

// TestCursorsSurviveARestart goes on with a cursor after the event store and the
// service have been started anew.
func TestCursorsSurviveARestart(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	token := s.token(apitoken.ReadAudit)
	s.fill(300, "")
	first := s.lines(token, "limit=150")
	s.node.Restart(t)
	s.serve()
	s.fill(10, "")
	rest := s.lines(token, after(first[149].Cursor))
	var positions []uint64
	for _, line := range append(first, rest...) {
		positions = append(positions, line.Position)
	}
	if truth := s.truth(); !slices.Equal(positions, truth[:len(truth)-1]) {
		t.Errorf("%d events of %d", len(positions), len(truth))
	}
}

// TestFollow goes from history to what is written meanwhile without a gap, over a
// restart of the event store.
func TestFollow(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	token := s.token(apitoken.ReadAudit)
	s.fill(1000, "")
	writing := make(chan error, 1)
	go func() {
		for i := range 400 {
			if i == 200 {
				s.node.Restart(t)
			}
			_, err := s.client.Append(t.Context(), domain.AccessStream(uuid.New()), domain.NoStream, refused(t, 5, "")...)
			if err != nil {
				writing <- err
				return
			}
		}
		writing <- nil
	}()
	response := s.get(token, "follow=true&type=SignInRefused")
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	var positions []uint64
	for len(positions) < 3000 && lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			positions = append(positions, parseLines(t, data)[0].Position)
		}
	}
	if err := <-writing; err != nil || lines.Err() != nil {
		t.Fatal(err, lines.Err())
	}
	truth := slices.DeleteFunc(s.truth(), func(p uint64) bool { return !slices.Contains(positions, p) })
	if len(positions) != 3000 || !slices.Equal(positions, truth) {
		t.Errorf("%d of 3000 events, in order %v", len(positions), slices.IsSorted(positions))
	}
}

func TestHeartbeatsMoveTheCursorOn(t *testing.T) {
	t.Parallel()
	s := newStand(t, func(_ *audit.Config, a *api.Audit) { a.Heartbeat = 50 * time.Millisecond })
	s.fill(700, "") // more than a search window
	response := s.get(s.token(apitoken.ReadAudit), "follow=true&account="+uuid.NewString())
	if got := response.Header.Get("Content-Type"); got != "text/event-stream" || response.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", response.Header)
	}
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if id, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
			position, err := s.cursors.Position(id)
			if err != nil {
				t.Fatal(err)
			}
			if position > s.truth()[500] {
				return
			}
		}
	}
	t.Error("no heartbeat brought a cursor")
}

// TestRevocationEndsAReplay revokes the token of a reader that follows.
func TestRevocationEndsAReplay(t *testing.T) {
	t.Parallel()
	s := newStand(t, func(_ *audit.Config, a *api.Audit) { a.Recheck = 100 * time.Millisecond })
	text, token, err := s.tokens.Create(t.Context(), "system:test", "", []apitoken.Scope{apitoken.ReadAudit}, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	response := s.get(text, "follow=true")
	for range 2 { // revoking may be repeated
		if err := s.tokens.Revoke(t.Context(), "system:test", token.ID); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, response.Body)
		ended <- err
	}()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the stream ended as if it were whole")
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the reader still follows")
	}
	problemOf(t, s.get(text, ""), http.StatusUnauthorized)
	if lines := s.lines(s.token(apitoken.ReadAudit), "type=TokenRevoked"); len(lines) != 1 {
		t.Errorf("recorded %d times", len(lines))
	}
}

// TestTheEndOfTheProcessEndsReplays ends those who follow cleanly: they come back.
func TestTheEndOfTheProcessEndsReplays(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	reader, _ := s.reader()
	ctx, end := context.WithCancel(t.Context())
	replay, err := reader.Open(t.Context(), audit.Query{Follow: true}, audit.Use{Command: "Test", Actor: "system:test"})
	if err != nil {
		t.Fatal(err)
	}
	defer replay.Close()
	go func() { _ = reader.Run(ctx) }()
	end()
	var last error
	for _, err := range replay.Batches(t.Context()) {
		last = err
	}
	if !errors.Is(last, audit.ErrStopping) {
		t.Errorf("ended with %v", last)
	}
}

// TestASlowReaderCostsNoMemory stands still before much more than buffers hold,
// and is cut off. The bound is for node and service in one process, and for the race
// detector; most of it is what gRPC holds in flight. Who kept what is not read would
// keep twice as much.
func TestASlowReaderCostsNoMemory(t *testing.T) {
	const size, total = 32 << 10, 64 << 20
	s := newStand(t, single, func(_ *audit.Config, a *api.Audit) { a.Stall = time.Second })
	s.fill(total/size, strings.Repeat("x", size))
	token := s.token(apitoken.ReadAudit)
	before := heap()
	response := s.get(token, "")
	peak := uint64(0)
	testkit.Await(t, 20*time.Second, "the reader is cut off", func() bool {
		peak = max(peak, heap())
		other := s.get(token, "limit=1")
		defer func() { _ = other.Body.Close() }()
		return other.StatusCode == http.StatusOK
	})
	n, err := io.Copy(io.Discard, response.Body)
	if err == nil || n > total/2 {
		t.Errorf("%d bytes came, %v", n, err)
	}
	if grown := int64(peak) - int64(before); grown > total/2 {
		t.Errorf("the heap grew by %d bytes for a reader that stands still", grown)
	} else {
		t.Logf("the heap grew by %d bytes, %d were delivered", grown, n)
	}
}

func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
