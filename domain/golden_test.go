package domain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"daybook/internal/testkit/golden"
)

// goldens show what is on somebody's disk.
const goldens golden.Folder = "testdata/events"

// goldenFile is a stored event, its sealed part in clear beside the rest.
type goldenFile struct {
	Type     string          `json:"type"`
	Stream   string          `json:"stream"`
	Public   json.RawMessage `json:"public"`
	Personal json.RawMessage `json:"personal,omitempty"`
	Metadata json.RawMessage `json:"metadata"`
}

func (n EventName) golden() string { return fmt.Sprintf("%s.v%d.json", n.Name, n.Schema) }

// clearBox seals nothing: the tests of sealing belong to the vault.
var clearBox = []byte("box:")

func sealClear(personal []byte) []byte {
	if personal == nil {
		return nil
	}
	return slices.Concat(clearBox, personal)
}

func openClear(box []byte) ([]byte, error) {
	personal, ok := bytes.CutPrefix(box, clearBox)
	if !ok {
		return nil, fmt.Errorf("not a box: %q", box)
	}
	return personal, nil
}

func compact(t *testing.T, indented []byte) []byte {
	t.Helper()
	if indented == nil {
		return nil
	}
	var b bytes.Buffer
	if err := json.Compact(&b, indented); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestGoldenEvents(t *testing.T) {
	if golden.Updating() {
		for _, name := range EventNames() {
			goldens.AddMissing(t, name.golden(), goldenOf(t, name))
		}
	}
	for _, name := range EventNames() {
		t.Run(name.golden(), func(t *testing.T) { checkGolden(t, name, true) })
	}
	for _, name := range formerNames() {
		t.Run(name.golden(), func(t *testing.T) { checkGolden(t, name, false) })
	}
	if rows := len(eventTypes) + len(formerTypes); len(samples) != rows {
		t.Errorf("%d samples for %d rows of the table", len(samples), rows)
	}
}

// formerNames are those whose golden files show what is on somebody's disk and is
// not written any more. Their samples are the present events that they become.
func formerNames() (names []EventName) {
	for _, row := range formerTypes {
		names = append(names, EventName{row.name, row.schema})
	}
	return names
}

func readGolden(t *testing.T, name EventName) goldenFile {
	t.Helper()
	var file goldenFile
	if err := json.Unmarshal(goldens.Read(t, name.golden()), &file); err != nil {
		t.Fatal(err)
	}
	return file
}

func checkGolden(t *testing.T, name EventName, written bool) {
	file, want := readGolden(t, name), samples[name]
	stored := Encoded{Type: file.Type, Schema: name.Schema, Public: compact(t, file.Public), Personal: compact(t, file.Personal)}
	data, err := stored.Data(sealClear(stored.Personal))
	if err != nil {
		t.Fatal(err)
	}
	metadata := compact(t, file.Metadata)
	got, err := Decode(Stored{Stream: file.Stream, Type: file.Type, Data: data, Metadata: metadata}, openClear)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Recorded{Stream: want.stream, Event: want.event, Metadata: sampleMetadata(name.Schema)}, got); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
	encoded, err := Encode(got.Event)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(stored, encoded); written && diff != "" {
		t.Errorf("encoded again (-want +got):\n%s", diff)
	}
	if again, err := json.Marshal(got.Metadata); err != nil || !bytes.Equal(metadata, again) {
		t.Errorf("metadata encoded again: %s, want %s (%v)", again, metadata, err)
	}
}

// TestGoldenChecksums holds the stored shapes still: a shape once released never
// changes, a new one gets a new version and a line of its own.
func TestGoldenChecksums(t *testing.T) { goldens.Check(t) }

func TestGoldenFilesHaveRows(t *testing.T) {
	var want []string
	for _, name := range append(EventNames(), formerNames()...) {
		want = append(want, name.golden())
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, goldens.Names(t)); diff != "" {
		t.Errorf("rows of the table and golden files differ (-rows +files):\n%s", diff)
	}
}

func goldenOf(t *testing.T, name EventName) []byte {
	t.Helper()
	encoded, err := Encode(samples[name].event)
	if err != nil {
		t.Fatal(err)
	}
	metadata, err := json.Marshal(sampleMetadata(name.Schema))
	if err != nil {
		t.Fatal(err)
	}
	content, err := json.MarshalIndent(goldenFile{encoded.Type, samples[name].stream, encoded.Public, encoded.Personal, metadata}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(content, '\n')
}
