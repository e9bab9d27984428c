package password_test

import (
	"errors"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"daybook/domain"
	"daybook/internal/password"
)

var cheap = password.Parameters{MemoryKiB: 64, Passes: 1, Threads: 1}

func hash(t *testing.T, p password.Parameters, typed string) string {
	t.Helper()
	phc, err := password.NewHasher(p).Hash(t.Context(), typed)
	if err != nil {
		t.Fatal(err)
	}
	return phc
}

func verify(t *testing.T, p password.Parameters, phc, typed string) (ok, stale bool) {
	t.Helper()
	ok, stale, err := password.NewHasher(p).Verify(t.Context(), phc, typed)
	if err != nil {
		t.Fatal(err)
	}
	return ok, stale
}

func TestStoredForm(t *testing.T) {
	form := regexp.MustCompile(`^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`)
	one, two := hash(t, password.DefaultParameters, "12345SomeData"), hash(t, password.DefaultParameters, "12345SomeData")
	if !form.MatchString(one) || one == two {
		t.Fatalf("%s\n%s", one, two)
	}
	if ok, stale := verify(t, password.DefaultParameters, one, "12345SomeData"); !ok || stale {
		t.Fatalf("own hash: %v, stale %v", ok, stale)
	}
}

// TestReferenceHash is of the reference implementation's test.c (PHC winner).
func TestReferenceHash(t *testing.T) {
	const phc = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	if ok, _ := verify(t, cheap, phc, "password"); !ok {
		t.Error("the reference's hash is refused")
	}
	if ok, _ := verify(t, cheap, phc, "passwore"); ok {
		t.Error("a wrong password passes")
	}
}

// TestDistinctPasswords: no cutting at 72 bytes or at NUL, no folding; the caller
// brings the normal form.
func TestDistinctPasswords(t *testing.T) {
	long := strings.Repeat("x", 255)
	phc := hash(t, cheap, long+"a")
	for _, other := range []string{long + "b", long, long[:72], strings.ToUpper(long + "a"), long + "a ", "", long + "a\x00b"} {
		if ok, _ := verify(t, cheap, phc, other); ok {
			t.Errorf("%d bytes pass for another password", len(other))
		}
	}
	composed, decomposed := "pässwörter", "pa\u0308sswo\u0308rter"
	phc = hash(t, cheap, domain.NormalPassword(composed))
	if ok, _ := verify(t, cheap, phc, domain.NormalPassword(decomposed)); !ok {
		t.Error("the same text in another form is another password")
	}
	if ok, _ := verify(t, cheap, phc, decomposed); ok {
		t.Error("the hasher normalises by itself: two places would have to agree")
	}
}

func TestStale(t *testing.T) {
	phc := hash(t, cheap, "12345SomeData")
	for _, c := range []struct {
		memory, passes uint32
		stale          bool
	}{{64, 1, false}, {128, 1, true}, {64, 2, true}, {32, 2, true}, {32, 1, false}} {
		wanted := password.Parameters{MemoryKiB: c.memory, Passes: c.passes, Threads: 1}
		if ok, stale := verify(t, wanted, phc, "12345SomeData"); !ok || stale != c.stale {
			t.Errorf("%+v: %v, stale %v", c, ok, stale)
		}
	}
	if ok, stale := verify(t, cheap, "", "12345SomeData"); ok || stale {
		t.Error("no credential, but it passes")
	}
}

// TestStrangeRows: what is stored must not make the service take gigabytes, and
// must have one spelling.
func TestStrangeRows(t *testing.T) {
	const salt, key = "AAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	row := func(parameters string) string { return "$argon2id$v=19$" + parameters + "$" + salt + "$" + key }
	if _, _, err := password.NewHasher(cheap).Verify(t.Context(), row("m=64,t=1,p=1"), "x"); err != nil {
		t.Fatalf("the pattern of the rows: %v", err)
	}
	for _, phc := range []string{
		"x", "$", "$argon2i$v=19$m=64,t=1,p=1$" + salt + "$" + key, "$2a$10$abc", row("m=2097152,t=1,p=1"), row("m=64,t=17,p=1"),
		row("m=64,t=0,p=1"), row("m=64,t=1,p=0"), row("m=64,t=1,p=256"), row("m=4,t=1,p=1"), row("m=-1,t=1,p=1"), row("m=64,t=1"), row("m=064,t=1,p=1"),
		row("m=64,t=1,p=1,x=1"), row(" m=64,t=1,p=1"), strings.Replace(row("m=64,t=1,p=1"), "v=19", "v=16", 1),
		strings.Replace(row("m=64,t=1,p=1"), "v=19", "v=19x", 1), row("m=64,t=1,p=1") + "$", row("m=64,t=1,p=1") + "=", row("m=64,t=1,p=1") + "\n",
		"$argon2id$v=19$m=64,t=1,p=1$AAAA$" + key, "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$AAAA",
		"$argon2id$v=19$m=64,t=1,p=1$" + strings.Repeat("A", 400) + "$" + key,
	} {
		ok, _, err := password.NewHasher(cheap).Verify(t.Context(), phc, "x")
		if err == nil || ok {
			t.Errorf("%q passes for a hash", phc)
		} else if strings.Contains(err.Error(), "AAAA") {
			t.Errorf("the error shows the hash: %v", err)
		}
	}
}

// TestOverload: a full queue sheds with ErrBusy, and the other share goes on.
func TestOverload(t *testing.T) {
	h := password.NewHasher(password.Parameters{MemoryKiB: 8 * 1024, Passes: 2, Threads: 1})
	var hashed, shed atomic.Int64
	var all sync.WaitGroup
	for range 300 {
		all.Go(func() {
			switch _, err := h.Hash(t.Context(), "12345SomeData"); {
			case err == nil:
				hashed.Add(1)
			case errors.Is(err, password.ErrBusy) && domain.IsKind(err, domain.KindUnavailable):
				shed.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	if _, _, err := h.Verify(t.Context(), "", "12345SomeData"); err != nil {
		t.Errorf("a sign-in is shed with the registrations: %v", err)
	}
	all.Wait()
	if hashed.Load() == 0 || shed.Load() == 0 {
		t.Errorf("%d hashed, %d shed", hashed.Load(), shed.Load())
	}
}
