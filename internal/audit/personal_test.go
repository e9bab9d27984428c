package audit_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
	"daybook/internal/apitoken"
	"daybook/internal/audit"
	"daybook/internal/eventstore"
)

const canary = "canary.7f3a@example.org"

func TestPersonalFieldsAreSealedUnlessTheTokenOpensThem(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	account := "account=" + s.register(canary).String()
	sealed := s.lines(s.token(apitoken.ReadAudit), account)
	if got := personal(t, sealed[0]); got != `"sealed"` || strings.Contains(string(sealed[0].Data), canary) {
		t.Errorf("without the scope: %s", sealed[0].Data)
	}
	opened := s.lines(s.token(apitoken.ReadPersonal), account)
	if got := personal(t, opened[0]); !strings.Contains(got, canary) {
		t.Errorf("with the scope: %s", opened[0].Data)
	}
}

func personal(tb testing.TB, line audit.Line) string {
	tb.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(line.Data, &members); err != nil {
		tb.Fatal(err)
	}
	return string(members["personal"])
}

// TestWhatCannotBeOpenedSaysWhy: erased, lost and damaged are told apart, and
// none of them ends the replay.
func TestWhatCannotBeOpenedSaysWhy(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	erased, lost, whole := s.register(canary), s.register(canary), s.register(canary)
	for _, sql := range []string{
		`INSERT INTO vault.erased_subjects (subject) VALUES ($1)`, `DELETE FROM vault.data_keys WHERE subject = $1`,
	} {
		if _, err := s.pool.Exec(t.Context(), sql, erased); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.pool.Exec(t.Context(), `DELETE FROM vault.data_keys WHERE subject = $1`, lost); err != nil {
		t.Fatal(err)
	}
	s.move(whole)
	reader, _ := s.reader()
	replay, err := reader.Open(t.Context(), audit.Query{Personal: true, Types: []string{"AccountRegistered"}}, audit.Use{Command: "Test", Actor: "system:test"})
	if err != nil {
		t.Fatal(err)
	}
	defer replay.Close()
	var got []string
	for batch, err := range replay.Batches(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		for _, rendered := range batch.Lines {
			got = append(got, personal(t, parseLines(t, string(rendered.JSON))[0]))
		}
	}
	if len(got) != 5 || got[0] != `"erased"` || got[1] != `"lost"` || !strings.Contains(got[2], canary) || got[3] != `"damaged"` || got[4] != `"damaged"` {
		t.Errorf("shown: %v", got)
	}
}

// move writes the box of the account's first event into another event, and one
// that is no box.
func (s *stand) move(account uuid.UUID) {
	s.tb.Helper()
	stream := domain.AccountStream(account)
	for stored, err := range s.client.ReadStream(s.tb.Context(), stream, 0) {
		if err != nil {
			s.tb.Fatal(err)
		}
		for i, data := range []string{string(stored.Data), `{"address_claim":"","personal":7}`} {
			forged := eventstore.Proposed{ID: uuid.New(), Type: stored.Type, Data: []byte(data), Metadata: stored.Metadata}
			if _, err := s.client.Append(s.tb.Context(), stream, int64(i), forged); err != nil {
				s.tb.Fatal(err)
			}
		}
	}
}

// TestForeignShapesAreDelivered: an audit shows also what this version does not
// know.
func TestForeignShapesAreDelivered(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	stream := domain.AccessStream(uuid.New())
	for _, e := range []eventstore.Proposed{
		{Type: "OfANewerVersion", Data: []byte("{\n \"a\": 1}"), Metadata: encoded(t, metadata(time.Now()))},
		{Type: "Broken", Data: []byte("\x00\xff"), Metadata: []byte("x"), Binary: true},
	} {
		e.ID = uuid.New()
		if _, err := s.client.Append(t.Context(), stream, eventstore.Any, e); err != nil {
			t.Fatal(err)
		}
	}
	lines := s.lines(s.token(apitoken.ReadAudit), "")
	var shown []string
	for _, line := range lines {
		if line.Stream == stream {
			shown = append(shown, line.Type+string(line.Data))
		}
	}
	if strings.Join(shown, " ") != `OfANewerVersion{"a":1} Broken"AP8="` {
		t.Errorf("shown: %v", shown)
	}
}
