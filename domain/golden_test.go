package domain

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// update writes golden files that are missing; it never changes one that is
// there, because what it shows is on somebody's disk.
var update = flag.Bool("update", false, "write missing golden files and generated documents")

const (
	goldenFolder = "testdata/events"
	checksumFile = goldenFolder + "/CHECKSUMS"
)

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
	if *update {
		writeMissingGoldens(t)
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
	content, err := os.ReadFile(filepath.Join(goldenFolder, name.golden()))
	if err != nil {
		t.Fatal(err)
	}
	var golden goldenFile
	if err := json.Unmarshal(content, &golden); err != nil {
		t.Fatal(err)
	}
	return golden
}

func checkGolden(t *testing.T, name EventName, written bool) {
	golden, want := readGolden(t, name), samples[name]
	stored := Encoded{Type: golden.Type, Schema: name.Schema, Public: compact(t, golden.Public), Personal: compact(t, golden.Personal)}
	data, err := stored.Data(sealClear(stored.Personal))
	if err != nil {
		t.Fatal(err)
	}
	metadata := compact(t, golden.Metadata)
	got, err := Decode(Stored{Stream: golden.Stream, Type: golden.Type, Data: data, Metadata: metadata}, openClear)
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
func TestGoldenChecksums(t *testing.T) {
	var lines []string
	for _, path := range goldenPaths(t) {
		lines = append(lines, checksumLine(t, path))
	}
	list, err := os.ReadFile(checksumFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Join(lines, ""), string(list)); diff != "" {
		t.Errorf("golden files differ from their list (-files +list); changed shapes need a new schema version:\n%s", diff)
	}
}

func TestGoldenFilesHaveRows(t *testing.T) {
	var want []string
	for _, name := range append(EventNames(), formerNames()...) {
		want = append(want, filepath.Join(goldenFolder, name.golden()))
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, goldenPaths(t)); diff != "" {
		t.Errorf("rows of the table and golden files differ (-rows +files):\n%s", diff)
	}
}

func goldenPaths(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(goldenFolder + "/*.json")
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// checksumLine is a line that sha256sum --check reads in the folder.
func checksumLine(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x  %s\n", sha256.Sum256(content), filepath.Base(path))
}

func writeMissingGoldens(t *testing.T) {
	t.Helper()
	if err := os.MkdirAll(goldenFolder, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range EventNames() {
		path := filepath.Join(goldenFolder, name.golden())
		if _, err := os.Stat(path); err == nil {
			continue
		}
		writeFile(t, path, goldenOf(t, name))
		addChecksum(t, path)
	}
}

// addChecksum adds one line and leaves all others as they are.
func addChecksum(t *testing.T, path string) {
	t.Helper()
	list, err := os.ReadFile(checksumFile)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	lines := append(slices.Collect(strings.Lines(string(list))), checksumLine(t, path))
	file := func(line string) string { return line[strings.LastIndex(line, " ")+1:] }
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(file(a), file(b)) })
	writeFile(t, checksumFile, []byte(strings.Join(lines, "")))
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

func writeFile(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}
