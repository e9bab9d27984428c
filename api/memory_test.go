package api

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/domain"
)

// memory is everything behind the commands, in memory: enough to try the HTTP
// side alone. What the real parts do is tested with the real parts, elsewhere.
type memory struct {
	mu       sync.Mutex
	streams  map[string][]domain.Recorded
	phc      map[uuid.UUID]string
	sessions map[string]domain.NewSession
	notices  int
	appends  int
	// failure, when set, is what every read of a stream ends with.
	failure error
}

func newMemory() *memory {
	return &memory{streams: map[string][]domain.Recorded{}, phc: map[uuid.UUID]string{}, sessions: map[string]domain.NewSession{}}
}

func (m *memory) handler(now func() time.Time) *commands.Handler {
	return &commands.Handler{
		Store: m, Credentials: m, Passwords: m, Tokens: m, Sessions: m, Objects: m, Vault: m, Notices: m, Now: now,
		Config: commands.Config{
			ResetLifetime: 10 * time.Minute, ActivationLifetime: 24 * time.Hour,
			Passwords: domain.PasswordPolicy{MinLength: 8}, IDKey: make([]byte, 32), Producer: "test",
		},
	}
}

func (m *memory) Account(_ context.Context, id uuid.UUID) (domain.Account, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return domain.Fold(domain.NewAccount(id), m.streams[domain.AccountStream(id)]...), m.failure
}

func (m *memory) Claim(ctx context.Context, email domain.Email) (domain.Claim, error) {
	sum := sha256.Sum256([]byte(email.Canonical))
	return m.ClaimAt(ctx, domain.AddressStream("k", sum[:]))
}

func (m *memory) Remains(_ context.Context, id uuid.UUID) (domain.Remains, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return domain.RemainsOf(m.streams[domain.AccountStream(id)]), m.failure
}

func (m *memory) ClaimAt(_ context.Context, stream string) (domain.Claim, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	claim := domain.NewClaim(stream)
	for _, r := range m.streams[stream] {
		claim = domain.EvolveClaim(claim, r)
	}
	return claim, m.failure
}

func (m *memory) Claims(ctx context.Context, email domain.Email) ([]domain.Claim, error) {
	claim, err := m.Claim(ctx, email)
	return []domain.Claim{claim}, err
}

func (m *memory) OnlyClaim(string) (bool, error) { return true, nil }

func (m *memory) Append(_ context.Context, a domain.Append) ([]domain.Recorded, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	stream := m.streams[a.Stream]
	if a.Expected != domain.AnyRevision && a.Expected != int64(len(stream))-1 {
		return nil, domain.ErrConflict
	}
	m.appends++
	var recorded []domain.Recorded
	for i, event := range a.Events {
		recorded = append(recorded, domain.Recorded{
			Stream: a.Stream, Revision: int64(len(stream) + i), ID: domain.EventID(a.Stream, a.Metadata.CommandID, i),
			Event: event, Metadata: a.Metadata,
		})
	}
	m.streams[a.Stream] = append(stream, recorded...)
	return recorded, nil
}

func (m *memory) Stage(_ context.Context, c domain.Credential) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.phc[c.ID] = c.PHC
	return nil
}

func (m *memory) StageChange(ctx context.Context, c domain.Credential) error { return m.Stage(ctx, c) }

func (m *memory) TrySignIn(_ context.Context, _ string, id uuid.UUID) (domain.SignInTry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return domain.SignInTry{PHC: m.phc[id], Allowed: true}, nil
}

func (m *memory) GiveBack(context.Context, string, domain.SignInTry) error { return nil }

func (m *memory) SignInSucceeded(context.Context, string) error { return nil }

func (m *memory) Replace(context.Context, uuid.UUID, string) error { return nil }

func (m *memory) Hash(_ context.Context, password string) (string, error) {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(password))), nil
}

func (m *memory) AdmitVerify(ctx context.Context) (context.Context, func(), error) {
	return ctx, func() {}, nil
}

func (m *memory) Verify(ctx context.Context, phc, password string) (ok, stale bool, err error) {
	hash, err := m.Hash(ctx, password)
	return phc == hash, false, err
}

func (m *memory) Token(_ context.Context, purpose domain.Purpose, account, id uuid.UUID, expires time.Time) (string, error) {
	mac := hmac.New(sha256.New, []byte("test"))
	fmt.Fprint(mac, purpose, account, id, expires.UnixMicro())
	return "k." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), nil
}

func (m *memory) Matches(ctx context.Context, token string, purpose domain.Purpose, account, id uuid.UUID, expires time.Time) (bool, error) {
	right, err := m.Token(ctx, purpose, account, id, expires)
	return token == right, err
}

func (m *memory) Open(_ context.Context, s domain.NewSession) (string, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	token := base64.RawURLEncoding.EncodeToString(s.ID[:])
	m.sessions[token] = s
	return token, true, nil
}

func (m *memory) End(_ context.Context, token string) (domain.EndedSession, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.sessions[token]
	delete(m.sessions, token)
	return domain.EndedSession{ID: s.ID, AccountID: s.AccountID}, ok, nil
}

func (m *memory) Suspect(context.Context, uuid.UUID, int64) error { return nil }

func (m *memory) Settle(context.Context, domain.Account) error { return nil }

func (m *memory) EndOne(context.Context, uuid.UUID, uuid.UUID) (bool, error) {
	return false, nil
}

func (m *memory) EndOthers(context.Context, domain.Account, uuid.UUID) ([]domain.EndedSession, error) {
	return nil, nil
}

func (m *memory) Put(context.Context, string, string, []byte) error { return nil }

func (m *memory) Remove(context.Context, string) error { return nil }

func (m *memory) Erase(context.Context, uuid.UUID, domain.Farewell) error { return nil }

func (m *memory) AlreadyRegistered(context.Context, domain.Account) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notices++
	return nil
}

func (m *memory) counted() (appends, notices int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.appends, m.notices
}

// accountOf returns the account that holds the address.
func (m *memory) accountOf(address string) domain.Account {
	email, err := domain.ParseEmail(address)
	if err != nil {
		panic(err)
	}
	claim, _ := m.Claim(context.Background(), email)
	account, _ := m.Account(context.Background(), claim.Holder)
	return account
}
