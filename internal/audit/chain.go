package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"daybook/domain"
)

// Chain is a running hash over the events of an export, in their order: who knows an
// earlier head can tell that nothing before it was changed, removed, put in or moved.
// Access streams are left out, because their events go when they are old. The zero value
// is the chain before the first event.
type Chain struct {
	Events int // in the chain
	sum    [sha256.Size]byte
}

// Sum is the chain's hash, in hexadecimal digits.
func (c *Chain) Sum() string { return hex.EncodeToString(c.sum[:]) }

// Chained reports whether the stream's events are in the chain.
func Chained(stream string) bool { return !strings.HasPrefix(stream, accessStreams) }

const accessStreams = "access-"

// ErrChain says that a line's chain is not what it has to be.
var ErrChain = errors.New("the chain is broken")

// Extend adds the event of a line that was rendered with Query.Boxes, and returns the
// line with its chain.
func (c *Chain) Extend(rendered []byte) ([]byte, error) {
	line, err := ParseLine(rendered)
	if err != nil || !Chained(line.Stream) {
		return rendered, err
	}
	if err := c.add(line); err != nil {
		return nil, err
	}
	line.Chain = c.Sum()
	return json.Marshal(line)
}

// Follow adds the event of a line and compares the line's chain: ErrChain.
func (c *Chain) Follow(line Line) error {
	if !Chained(line.Stream) {
		return nil
	}
	if err := c.add(line); err != nil {
		return err
	}
	if line.Chain != c.Sum() {
		return fmt.Errorf("%w at event %d of the chain, %s of %s", ErrChain, c.Events, line.ID, line.Stream)
	}
	return nil
}

func (c *Chain) add(line Line) error {
	digest, err := line.digest()
	if err != nil {
		return err
	}
	c.sum = sha256.Sum256(append(c.sum[:], digest[:]...))
	c.Events++
	return nil
}

// ParseLine reads a line of an export.
func ParseLine(text []byte) (Line, error) {
	var line Line
	if err := json.Unmarshal(text, &line); err != nil {
		return Line{}, fmt.Errorf("read a line of the trail: %w", err)
	}
	return line, nil
}

// digest covers everything that the line says of its event: the members of the data as
// they stand there, the sealed one as the hash of its box, whether or not it was opened.
// Position and cursor are the store's, and other ones in a copy of it.
func (l Line) digest() (sum [sha256.Size]byte, err error) {
	data, err := l.sealedData()
	if err != nil {
		return sum, err
	}
	metadata, err := json.Marshal(l.Metadata)
	if err != nil {
		return sum, err
	}
	occurredAt := ""
	if l.OccurredAt != nil {
		occurredAt = l.OccurredAt.UTC().Format(time.RFC3339Nano)
	}
	hash := sha256.New()
	for _, part := range []string{"daybook audit line 1", l.Stream, fmt.Sprint(l.Revision), l.ID, l.Type, occurredAt, string(metadata), string(data), l.Box} {
		_ = binary.Write(hash, binary.BigEndian, uint64(len(part))) // a hash never fails
		_, _ = hash.Write([]byte(part))
	}
	return [sha256.Size]byte(hash.Sum(nil)), nil
}

// sealedData is the data as it would be shown to somebody who may see nothing personal.
func (l Line) sealedData() ([]byte, error) {
	if l.Box == "" {
		return json.Marshal(l.Data)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(l.Data, &members); err != nil {
		return nil, fmt.Errorf("read the data of %s: %w", l.ID, err)
	}
	members[personalMember] = word(Sealed)
	return json.Marshal(members)
}

// Head is what an auditor keeps of an export, in a place that the operator cannot write
// to: with it a later export, or the store, is compared.
type Head struct {
	StoreID  uuid.UUID `json:"store_id"`
	Events   int       `json:"events"`   // in the chain
	Chain    string    `json:"chain"`    // after the last of them
	Position uint64    `json:"position"` // in this store
	At       time.Time `json:"at"`       // when the export began
	// File is the SHA-256 of all lines of the file, uncompressed; access events too.
	File string `json:"file,omitempty"`
}

// Streams checks that no event is missing in a stream: revisions without a hole, from 0.
type Streams map[string]int64

// Follow refuses a line that does not come right behind the one before in its stream.
func (s Streams) Follow(line Line) error {
	next, known := s[line.Stream]
	if line.Revision != next && (known || Chained(line.Stream)) {
		return fmt.Errorf("%w: %s has revision %d where %d has to be", ErrChain, line.Stream, line.Revision, next)
	}
	s[line.Stream] = line.Revision + 1
	return nil
}

// ParseChain reads the head's hash, to go on behind it.
func ParseChain(events int, sum string) (*Chain, error) {
	decoded, err := hex.DecodeString(sum)
	if err != nil || len(decoded) != sha256.Size || events < 0 {
		return nil, domain.Invalid("chain", "The chain must be the 64 hexadecimal digits of a head")
	}
	return &Chain{Events: events, sum: [sha256.Size]byte(decoded)}, nil
}

// boxHash stands for a sealed member in the digest.
func boxHash(stored json.RawMessage) string {
	sum := sha256.Sum256(stored)
	return hex.EncodeToString(sum[:])
}
