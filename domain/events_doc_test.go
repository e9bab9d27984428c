package domain

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"daybook/internal/testkit/golden"
)

const eventsDocument = "../docs/events.md"

// TestEventsDoc holds the document for audit consumers to the table of stored
// names; -update writes it.
func TestEventsDoc(t *testing.T) {
	want := eventsDoc(t)
	if golden.Updating() {
		if err := os.WriteFile(eventsDocument, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(eventsDocument)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s is old, run go test ./domain -run TestEventsDoc -update (-want +got):\n%s", eventsDocument, diff)
	}
}

const eventsIntroduction = `# Events

Generated from the table in ` + "`domain/codec.go`" + ` by ` + "`go test ./domain -run TestEventsDoc -update`" + `; do not edit.

An event's data is a JSON object with exactly the members listed. *Sealed* members are not in it: they lie in a JSON
object of their own, encrypted with the key of the person, and that box stands in base64 in the member ` + "`personal`" + `. Once the
key is destroyed, the box cannot be opened any more and its members are gone, which is not the same as empty.
*Optional* members are left out when they are empty; *nullable* ones are ` + "`null`" + `. Ids are lower-case UUIDs, times RFC 3339 in
UTC with at most six digits of a second. An example of each event is in ` + "`domain/testdata/events`" + `. A stored shape never
changes: a new one gets a new schema version.

The metadata of each event is a flat object of strings, its name and schema version among them:

| member | text form of |
|---|---|
`

func eventsDoc(t *testing.T) string {
	t.Helper()
	comments, flows := typeComments(t), eventFlows(t)
	var b strings.Builder
	b.WriteString(eventsIntroduction)
	for _, m := range membersOf(reflect.TypeFor[Metadata]()) {
		fmt.Fprintf(&b, "| `%s` | %s |\n", m.name, m.kind)
	}
	for _, row := range eventTypes {
		name := EventName{row.name, row.schema}
		fmt.Fprintf(&b, "\n## %s, schema %d\n\n%s\n\nStream: `%s`\n\nEmitted by %s; consumed by %s.\n\n", row.name, row.schema, comments[row.zero.Name()],
			streamKind(t, samples[name].stream), places(flows[row.zero.Name()].from), places(flows[row.zero.Name()].to, "the audit"))
		b.WriteString("| member | type | sealed |\n|---|---|---|\n")
		writeMembers(&b, membersOf(row.zero), "")
		if part, ok := row.zero.FieldByName("Personal"); ok {
			value, _ := part.Type.FieldByName("Value")
			writeMembers(&b, membersOf(value.Type), "sealed")
		}
	}
	return b.String()
}

func writeMembers(b *strings.Builder, members []memberDoc, sealed string) {
	for _, m := range members {
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", m.name, m.kind, sealed)
	}
}

type memberDoc struct{ name, kind string }

func membersOf(t reflect.Type) []memberDoc {
	s := shapeOf(t).members
	var members []memberDoc
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if _, ok := s[name]; !ok {
			continue
		}
		kind := kindOf(field.Type)
		if s[name].optional {
			kind += ", optional"
		} else if s[name].nullable && field.Type.Kind() == reflect.Pointer {
			kind += ", nullable"
		}
		members = append(members, memberDoc{name, kind})
	}
	return members
}

// kindOf says what a member looks like in JSON.
func kindOf(t reflect.Type) string {
	switch t.String() {
	case "uuid.UUID":
		return "id"
	case "time.Time":
		return "time"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return kindOf(t.Elem())
	case reflect.Slice:
		return "array of " + kindOf(t.Elem()) + "s"
	case reflect.Map:
		return "object of " + kindOf(t.Elem()) + "s"
	case reflect.Bool:
		return "boolean"
	case reflect.String:
		return "string"
	default:
		return "number"
	}
}

// streamKind turns the sample's stream into the pattern of its name.
func streamKind(t *testing.T, stream string) string {
	t.Helper()
	switch stream {
	case StoreStream:
		return stream
	case AccountStream(person):
		return "account-<account id>"
	case AccessStream(person):
		return "access-<account id>"
	case address:
		return "address-<key id>-<keyed hash of the address>"
	}
	t.Fatalf("no sample tells the stream: %q", stream)
	return ""
}

// typeComments gives the comments of the event types, each in one line.
func typeComments(t *testing.T) map[string]string {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "events.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	pkg, err := doc.NewFromFiles(files, []*ast.File{file}, "daybook/domain")
	if err != nil {
		t.Fatal(err)
	}
	comments := map[string]string{}
	for _, typ := range pkg.Types {
		comments[typ.Name] = strings.Join(strings.Fields(typ.Doc), " ")
	}
	return comments
}
