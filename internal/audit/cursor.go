package audit

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"github.com/google/uuid"

	"daybook/domain"
)

// Refusals of cursors.
var (
	errCursor      = domain.Invalid("cursor", "The cursor is not one of this service")
	errOtherStore  = domain.Refuse(domain.KindInvalid, "cursor_of_other_store", "The cursor belongs to another event store. Begin again without one")
	errBeyondStore = domain.Refuse(domain.KindInvalid, "cursor_beyond_store", "The cursor is ahead of the event store, which was restored from an older copy. Begin again from an older cursor")
)

const (
	cursorVersion = 1
	// sizes of the authenticated part and of its code: together they are a
	// multiple of three, so that base64 has no spare bits.
	cursorSize = 1 + 16 + 8
	cursorCode = 20
)

// Cursors makes and reads the cursors of one store.
type Cursors struct {
	key   []byte
	store uuid.UUID
}

// NewCursors derives the key of cursors from a secret that all processes of a
// deployment share.
func NewCursors(secret []byte, store uuid.UUID) (Cursors, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, "daybook audit cursor", sha256.Size)
	return Cursors{key, store}, err
}

// At returns the cursor behind the event at a commit position; 0 is the start.
func (c Cursors) At(position uint64) string {
	value := append([]byte{cursorVersion}, c.store[:]...)
	value = binary.BigEndian.AppendUint64(value, position)
	return base64.RawURLEncoding.EncodeToString(append(value, c.code(value)...))
}

// Store is the store that the cursors are of.
func (c Cursors) Store() uuid.UUID { return c.store }

// Position reads a cursor. It refuses (domain.KindInvalid) what this service has
// not made, and cursors of another store.
func (c Cursors) Position(cursor string) (uint64, error) {
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	// The text is compared as well: decoding passes over line breaks.
	if err != nil || len(raw) != cursorSize+cursorCode || raw[0] != cursorVersion || base64.RawURLEncoding.EncodeToString(raw) != cursor {
		return 0, errCursor
	}
	value, code := raw[:cursorSize], raw[cursorSize:]
	if !hmac.Equal(code, c.code(value)) {
		return 0, errCursor
	}
	if uuid.UUID(value[1:17]) != c.store {
		return 0, errOtherStore
	}
	return binary.BigEndian.Uint64(value[17:]), nil
}

func (c Cursors) code(value []byte) []byte {
	mac := hmac.New(sha256.New, c.key)
	mac.Write(value)
	return mac.Sum(nil)[:cursorCode]
}
