package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/crypto/argon2"

	"daybook/domain"
)

// Parameters of Argon2id. The zero value is not usable; see DefaultParameters.
type Parameters struct {
	MemoryKiB uint32
	Passes    uint32
	Threads   uint8
}

// DefaultParameters are the OWASP minimum: 19 MiB, two passes, one thread.
var DefaultParameters = Parameters{MemoryKiB: 19 * 1024, Passes: 2, Threads: 1}

// ErrBusy sheds what would have to wait too long.
var ErrBusy = domain.Refuse(domain.KindUnavailable, "busy", "The service is busy. Try again in a moment")

// Hasher hashes and verifies. Make it with NewHasher.
type Hasher struct {
	parameters Parameters
	verify     queue
	hash       queue
}

// NewHasher returns a hasher with one worker per processor for sign-ins and half
// as many, at least one, for new passwords.
func NewHasher(p Parameters) *Hasher {
	workers := runtime.GOMAXPROCS(0)
	return &Hasher{parameters: p, verify: newQueue(workers), hash: newQueue(max(1, workers/2))}
}

// Hash returns the PHC string of a password with a random salt.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	leave, err := h.hash.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails (crypto/rand)
	return phc{h.parameters, salt, h.parameters.derive(password, salt, 32)}.String(), nil
}

// AdmitVerify takes a place in the line of sign-ins, or sheds at once when there is
// none: before anything else is done for a sign-in, so that shedding costs nothing.
// Verify with the returned context has that place until leave, which is called once.
func (h *Hasher) AdmitVerify(ctx context.Context) (_ context.Context, leave func(), err error) {
	return h.verify.admit(ctx)
}

// Verify compares a password with a PHC string. An empty string stands for an
// unknown credential: the work is the same and the answer no.
func (h *Hasher) Verify(ctx context.Context, stored, password string) (ok, stale bool, err error) {
	leave, err := h.verify.enter(ctx)
	if err != nil {
		return false, false, err
	}
	defer leave()
	if stored == "" {
		h.parameters.derive(password, make([]byte, 16), 32)
		return false, false, nil
	}
	p, err := parse(stored)
	if err != nil {
		return false, false, err
	}
	same := subtle.ConstantTimeCompare(p.parameters.derive(password, p.salt, uint32(len(p.key))), p.key) == 1
	return same, p.parameters.weakerThan(h.parameters), nil
}

// weakerThan reports whether a parameter that makes guessing dear has risen.
// Hashes are never made anew with less: the setting may have been lowered on one
// node only.
func (p Parameters) weakerThan(wanted Parameters) bool {
	return p.MemoryKiB < wanted.MemoryKiB || p.Passes < wanted.Passes
}

func (p Parameters) derive(password string, salt []byte, length uint32) []byte {
	return argon2.IDKey([]byte(password), salt, p.Passes, p.MemoryKiB, p.Threads, length)
}

// phc is the string form of a hash, as the reference implementation writes it.
type phc struct {
	parameters Parameters
	salt, key  []byte
}

func (p phc) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.parameters.MemoryKiB, p.parameters.Passes,
		p.parameters.Threads, base64.RawStdEncoding.EncodeToString(p.salt), base64.RawStdEncoding.EncodeToString(p.key))
}

// Bounds of what is accepted from the store: a row must not make the service
// take gigabytes.
const (
	maxMemoryKiB = 1 << 20
	maxPasses    = 16
)

func parse(s string) (phc, error) {
	var p phc
	var version int
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return phc{}, fmt.Errorf("a stored password hash is not argon2id")
	}
	_, errVersion := fmt.Sscanf(parts[2], "v=%d", &version)
	_, errParameters := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.parameters.MemoryKiB, &p.parameters.Passes, &p.parameters.Threads)
	salt, errSalt := base64.RawStdEncoding.DecodeString(parts[4])
	key, errKey := base64.RawStdEncoding.DecodeString(parts[5])
	p.salt, p.key = salt, key
	// Scanning is lenient; a stored hash has exactly the form that String writes.
	if errVersion != nil || errParameters != nil || errSalt != nil || errKey != nil || version != argon2.Version || !p.sane() || p.String() != s {
		return phc{}, fmt.Errorf("a stored password hash cannot be read")
	}
	return p, nil
}

func (p phc) sane() bool {
	return p.parameters.MemoryKiB >= 8 && p.parameters.MemoryKiB <= maxMemoryKiB && p.parameters.Passes >= 1 &&
		p.parameters.Passes <= maxPasses && p.parameters.Threads >= 1 &&
		len(p.salt) >= 8 && len(p.salt) <= 64 && len(p.key) >= 16 && len(p.key) <= 64
}
