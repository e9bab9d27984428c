package audit_test

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/audit"
	"daybook/internal/eventstore"
	"daybook/internal/eventstore/node/nodetest"
	"daybook/internal/vault"
)

// rewritten is another store with what became of the events of this one: what an
// operator can do who writes to the store as he likes.
func (s *stand) rewritten(change func([]domain.Stored) []domain.Stored) *stand {
	s.tb.Helper()
	var history []domain.Stored
	for stored, err := range s.client.ReadAll(s.tb.Context(), 0) {
		if err != nil {
			s.tb.Fatal(err)
		}
		history = append(history, stored)
	}
	other := *s
	other.node = nodetest.Start(s.tb)
	other.client = other.connect(eventstore.Config{})
	other.repository = &eventstore.Repository{Client: other.client, Vault: s.repository.Vault, Addresses: s.repository.Addresses, Logger: slog.New(slog.DiscardHandler)}
	for _, e := range change(history) {
		if _, err := other.client.Append(s.tb.Context(), e.Stream, eventstore.Any, eventstore.Proposed{ID: e.ID, Type: e.Type, Data: e.Data, Metadata: e.Metadata}); err != nil {
			s.tb.Fatal(err)
		}
	}
	return &other
}

// export returns the lines of a whole export and the chain's hash after each event of it.
func (s *stand) export(personal bool) (lines []audit.Line, sums []string) {
	s.tb.Helper()
	reader := audit.New(audit.Config{
		Client: s.client, Vault: vault.New(s.pool, s.masters), Cursors: s.cursors, Append: s.repository.Append, Producer: "test",
		Logger: slog.New(slog.DiscardHandler),
	})
	replay, err := reader.Open(s.tb.Context(), audit.Query{Boxes: true, Personal: personal}, audit.Use{Command: "ExportAudit", Actor: domain.SystemActor("test")})
	if err != nil {
		s.tb.Fatal(err)
	}
	defer replay.Close()
	chain := &audit.Chain{}
	for batch, err := range replay.Batches(s.tb.Context()) {
		if err != nil {
			s.tb.Fatal(err)
		}
		for _, rendered := range batch.Lines {
			text, err := chain.Extend(rendered.JSON)
			if err != nil {
				s.tb.Fatal(err)
			}
			line, err := audit.ParseLine(text)
			if err != nil {
				s.tb.Fatal(err)
			}
			if lines = append(lines, line); audit.Chained(line.Stream) {
				sums = append(sums, chain.Sum())
			}
		}
	}
	return lines, sums
}

func follow(lines []audit.Line) error {
	chain, streams := &audit.Chain{}, audit.Streams{}
	for _, line := range lines {
		if err := errors.Join(chain.Follow(line), streams.Follow(line)); err != nil {
			return err
		}
	}
	return nil
}

func history(t *testing.T) *stand {
	s := newStand(t)
	for _, email := range []string{"ann@example.com", "<bob&co>@example.com", "cid@example.com"} {
		s.register(email)
	}
	s.fill(3, "x")
	return s
}

// TestRewrittenStore: whoever kept the hash finds out what was done to the events before
// it, whatever it was.
func TestRewrittenStore(t *testing.T) {
	s := history(t)
	_, sums := s.export(false)
	account := func(events []domain.Stored, n int) int {
		for i, e := range events {
			if domain.IsAccountStream(e.Stream) {
				if n--; n < 0 {
					return i
				}
			}
		}
		t.Fatal("there is no such event")
		return 0
	}
	changed := func(change func(e *domain.Stored)) func([]domain.Stored) []domain.Stored {
		return func(events []domain.Stored) []domain.Stored {
			change(&events[account(events, 1)])
			return events
		}
	}
	for name, rewrite := range map[string]struct {
		change func([]domain.Stored) []domain.Stored
		same   bool
	}{
		"nothing": {func(events []domain.Stored) []domain.Stored { return events }, true},
		"a member": {changed(func(e *domain.Stored) {
			e.Data = []byte(strings.Replace(string(e.Data), "address-x-1", "address-x-2", 1))
		}), false},
		"the sealed box": {changed(func(e *domain.Stored) { e.Data = swapBox(t, e.Data) }), false},
		"the actor": {changed(func(e *domain.Stored) {
			e.Metadata = []byte(strings.Replace(string(e.Metadata), "system:test", "anonymous", 1))
		}), false},
		"the time": {changed(func(e *domain.Stored) {
			e.Metadata = []byte(strings.Replace(string(e.Metadata), `"occurred_at":"2`, `"occurred_at":"3`, 1))
		}), false},
		"the type":    {changed(func(e *domain.Stored) { e.Type = "AccountErased" }), false},
		"the id":      {changed(func(e *domain.Stored) { e.ID = uuid.New() }), false},
		"whose it is": {changed(func(e *domain.Stored) { e.Stream = domain.AccountStream(uuid.New()) }), false},
		"removed": {func(events []domain.Stored) []domain.Stored {
			i := account(events, 1)
			return slices.Delete(events, i, i+1)
		}, false},
		"put in": {func(events []domain.Stored) []domain.Stored {
			e := events[account(events, 1)]
			e.ID = uuid.New()
			return slices.Insert(events, account(events, 1), e)
		}, false},
		"moved": {func(events []domain.Stored) []domain.Stored {
			i, j := account(events, 0), account(events, 2)
			events[i], events[j] = events[j], events[i]
			return events
		}, false},
		"the end is missing": {func(events []domain.Stored) []domain.Stored { return events[:account(events, 2)] }, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, now := s.rewritten(rewrite.change).export(false)
			if same := len(now) >= len(sums) && now[len(sums)-1] == sums[len(sums)-1]; same != rewrite.same {
				t.Errorf("the same history: %v, want %v", same, rewrite.same)
			}
		})
	}
}

func swapBox(t *testing.T, data []byte) []byte {
	_, box, found := strings.Cut(string(data), `"personal":"`)
	if !found {
		t.Fatalf("no box in %s", data)
	}
	other := "A"
	if box[20] == 'A' {
		other = "B"
	}
	at := len(data) - len(box) + 20
	return []byte(string(data[:at]) + other + string(data[at+1:]))
}

// TestChainIsOfWhatIsStored: opened and sealed, and when the person is erased, the same
// chain; each line can be checked from what stands in it.
func TestChainIsOfWhatIsStored(t *testing.T) {
	s := history(t)
	sealed, sums := s.export(false)
	opened, again := s.export(true)
	if !slices.Equal(again[:len(sums)], sums) || len(opened) <= len(sealed) {
		t.Error("opened, the chain is another one")
	}
	if _, err := s.pool.Exec(t.Context(), `INSERT INTO vault.erased_subjects SELECT subject, now() FROM vault.data_keys`); err != nil {
		t.Fatal(err)
	}
	erased, again := s.export(true)
	if !slices.Equal(again[:len(sums)], sums) || !strings.Contains(string(erased[1].Data), `"erased"`) {
		t.Errorf("erased, the chain is another one: %s", erased[1].Data)
	}
	for _, lines := range [][]audit.Line{sealed, opened, erased} {
		if err := follow(lines); err != nil {
			t.Error(err)
		}
	}
}

// TestChangedExport: every change of a file shows where it was made, unless all behind it
// is made anew; then the end is another one.
func TestChangedExport(t *testing.T) {
	s := history(t)
	lines, _ := s.export(false)
	for name, change := range map[string]func([]audit.Line) []audit.Line{
		"data": func(l []audit.Line) []audit.Line {
			l[1].Data = []byte(`{"address_claim":"address-y","personal":"sealed"}`)
			return l
		},
		"metadata": func(l []audit.Line) []audit.Line { l[1].Metadata = []byte(`{}`); return l },
		"time": func(l []audit.Line) []audit.Line {
			at := l[1].OccurredAt.Add(time.Second)
			l[1].OccurredAt = &at
			return l
		},
		"type":     func(l []audit.Line) []audit.Line { l[1].Type = "AccountErased"; return l },
		"stream":   func(l []audit.Line) []audit.Line { l[1].Stream = domain.AccountStream(uuid.New()); return l },
		"revision": func(l []audit.Line) []audit.Line { l[1].Revision++; return l },
		"id":       func(l []audit.Line) []audit.Line { l[1].ID = uuid.NewString(); return l },
		"box":      func(l []audit.Line) []audit.Line { l[1].Box = strings.Repeat("0", 64); return l },
		"chain":    func(l []audit.Line) []audit.Line { l[1].Chain = l[2].Chain; return l },
		"removed":  func(l []audit.Line) []audit.Line { return slices.Delete(l, 1, 2) },
		"first":    func(l []audit.Line) []audit.Line { return l[1:] },
		"twice":    func(l []audit.Line) []audit.Line { return slices.Insert(l, 2, l[1]) },
		"moved":    func(l []audit.Line) []audit.Line { l[1], l[2] = l[2], l[1]; return l },
		"access": func(l []audit.Line) []audit.Line {
			i := slices.IndexFunc(l, access)
			l[i].Revision += 2
			return slices.Delete(l, i+1, i+2)
		},
	} {
		if err := follow(change(slices.Clone(lines))); !errors.Is(err, audit.ErrChain) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func access(l audit.Line) bool { return !audit.Chained(l.Stream) }
