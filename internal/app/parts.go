package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/commands"
	"daybook/domain"
	"daybook/internal/eventstore"
	"daybook/internal/idempotency"
	"daybook/internal/keyring"
	"daybook/internal/objectstore"
	"daybook/internal/password"
	"daybook/internal/postgres"
	"daybook/internal/session"
	"daybook/internal/token"
	"daybook/internal/vault"
	"daybook/workers/email"
)

// The ports of the write side and what fills them in.
var (
	_ commands.Store       = (*eventstore.Repository)(nil)
	_ commands.Credentials = (*vault.Credentials)(nil)
	_ commands.Passwords   = (*password.Hasher)(nil)
	_ commands.Tokens      = (*token.Maker)(nil)
	_ commands.Sessions    = (*session.Store)(nil)
	_ commands.Objects     = (*objectstore.Store)(nil)
	_ commands.Notices     = (*email.Notices)(nil)
	_ commands.Vault       = (*vault.Vault)(nil)
)

// ownStreams are the beginnings of the names of this service's streams.
var ownStreams = []string{"account-", "access-", "address-", domain.StoreStream}

// storeTimeout is how long a start waits for the event store.
const storeTimeout = 10 * time.Second

// parts are what every role is made of, connected and checked.
type parts struct {
	pool       *pgxpool.Pool
	vaultPool  *pgxpool.Pool
	client     *eventstore.Client
	replays    *eventstore.Client // of the audit, so that a slow reader costs little
	vault      *vault.Vault
	repository *eventstore.Repository
	tokens     *token.Maker
	objects    *objectstore.Store
	sessions   *session.Store
	rings      keyring.Rings
	follower   *keyring.Follower
	idKey      []byte
	identity   eventstore.Identity
	smtpURL    string
	hasher     *password.Hasher // of the API's commands
	observer   *observer        // nil for operators' tasks
	bind       binding
	works      bool   // goes on working: not a subcommand that ends
	role       string // of the database; empty for who connects
}

// connect opens everything and checks that it belongs together.
func connect(ctx context.Context, s *Settings, b *backends, roles Roles, o *observer, logger *slog.Logger) (_ *parts, err error) {
	p := &parts{smtpURL: s.SMTPURL, observer: o, bind: bindDatabase, works: true, role: roles.database()}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if b.mail != nil {
		p.smtpURL = b.mail.URL()
	}
	if err := p.openObjects(ctx, s, b); err != nil {
		return nil, err
	}
	return p, p.openRecords(ctx, s, b, roles.Migrate, logger)
}

// openRecords opens what is kept for good: keys, databases and event store.
func (p *parts) openRecords(ctx context.Context, s *Settings, b *backends, migrate bool, logger *slog.Logger) (err error) {
	sets, err := s.readKeys()
	if err != nil {
		return err
	}
	p.rings = keyring.NewRings(sets)
	if err := p.openDatabases(ctx, s, b, migrate, logger); err != nil {
		return err
	}
	if err := p.openStore(ctx, s, b, logger); err != nil {
		return err
	}
	first, err := firstIDKey(sets[keyring.Address])
	if err != nil {
		return err
	}
	p.idKey, err = p.vault.Fixed(ctx, idSecret, first)
	return err
}

func (p *parts) openDatabases(ctx context.Context, s *Settings, b *backends, migrate bool, logger *slog.Logger) (err error) {
	database := postgres.Config{Setting: "DAYBOOK_DATABASE_URL", URL: s.DatabaseURL, Role: p.role, Tracer: p.observer.sql()}
	if b.cluster != nil {
		database.URL, database.Setting = b.cluster.DSN("postgres"), "the private Postgres"
	}
	if p.pool, err = openDatabase(ctx, database, migrate, logger); err != nil {
		return err
	}
	p.vaultPool = p.pool
	if s.VaultURL == "" {
		return nil
	}
	own := postgres.Config{Setting: "DAYBOOK_VAULT_URL", URL: s.VaultURL, Tracer: p.observer.sql()}
	if p.role != "" {
		own.Role = postgres.RoleVault
	}
	vaultPool, err := openDatabase(ctx, own, migrate, logger)
	if err == nil {
		p.vaultPool = vaultPool
	}
	return err
}

// openDatabase brings the schema up to date as the owner, if it is to, and then works as
// the role.
func openDatabase(ctx context.Context, config postgres.Config, migrate bool, logger *slog.Logger) (*pgxpool.Pool, error) {
	if migrate {
		if err := migrateAsOwner(ctx, config, logger); err != nil {
			return nil, err
		}
	}
	pool, err := postgres.Open(ctx, config)
	if err != nil || config.Role == "" {
		return pool, err
	}
	as, err := postgres.WorksAs(ctx, pool)
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("%s: %w", config.Setting, err)
	}
	if as != config.Role {
		logger.WarnContext(ctx, "the database role with least privilege is not used: whoever connects may not take it, or it is missing; see docs/security.md",
			slog.String("setting", config.Setting), slog.String("role", config.Role), slog.String("works_as", as))
	}
	return pool, nil
}

func migrateAsOwner(ctx context.Context, config postgres.Config, logger *slog.Logger) error {
	config.Role = ""
	pool, err := postgres.Open(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := postgres.Migrate(ctx, pool); err != nil {
		return fmt.Errorf("%s: %w", config.Setting, err)
	}
	return dropUnlike(ctx, pool, logger)
}

func (p *parts) openObjects(ctx context.Context, s *Settings, b *backends) (err error) {
	url := s.S3URL
	if b.objects != nil {
		url = b.objects.URL()
	}
	if p.objects, err = objectstore.New(url); err != nil {
		return err
	}
	if err := p.objects.EnsureBucket(ctx); err != nil {
		return fmt.Errorf("DAYBOOK_S3_URL: the bucket cannot be used: %w", err)
	}
	return nil
}

// openStore connects with the event store, and puts what works on it together.
func (p *parts) openStore(ctx context.Context, s *Settings, b *backends, logger *slog.Logger) error {
	if err := p.openClients(s, b, logger); err != nil {
		return err
	}
	p.vault = vault.New(p.vaultPool, p.rings[keyring.Master])
	p.tokens = &token.Maker{Keys: p.rings[keyring.Token], Vault: p.vault}
	p.repository = &eventstore.Repository{Client: p.client, Vault: p.vault, Addresses: p.rings[keyring.Address], Logger: logger}
	p.sessions = &session.Store{
		Pool: p.pool, Lifetime: s.SessionLifetime, IdleLifetime: s.SessionIdle, Account: p.repository.Account,
	}
	if err := p.identify(ctx, s, logger); err != nil {
		return err
	}
	return p.carryOutErasures(ctx, logger)
}

func (p *parts) openClients(s *Settings, b *backends, logger *slog.Logger) (err error) {
	config := eventstore.Config{
		URL: s.EventStoreURL, Socket: b.socket, Namespace: s.Namespace,
		Prefixes: ownStreams,
		Logger:   logger.With(slog.String("part", "event store client")),
	}
	if p.observer != nil {
		config.Observe = p.observer.storeCall
	}
	if p.client, err = eventstore.NewClient(config); err != nil {
		return err
	}
	config.BufferBytes = replayBuffer
	p.replays, err = eventstore.NewClient(config)
	return err
}

func (p *parts) identify(ctx context.Context, s *Settings, logger *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := p.followKeys(ctx, s, logger); err != nil {
		return err
	}
	if err := p.bind(ctx, p.pool, p.client, p.identity); err != nil {
		return err
	}
	for _, client := range []*eventstore.Client{p.client, p.replays} {
		client.Expect(p.identity.StoreID)
	}
	return nil
}

// followKeys brings the keys into the store's order. A process that goes on working is
// announced before it reads which that is.
func (p *parts) followKeys(ctx context.Context, s *Settings, logger *slog.Logger) (err error) {
	p.follower = &keyring.Follower{
		Repository: p.repository, Holders: keyring.Holders{Pool: p.pool}, Rings: p.rings, Read: s.readKeys,
		Namespace: s.Namespace, Producer: producer(), Logger: logger.With(slog.String("part", "keys")),
	}
	if p.works {
		if err := p.follower.Announce(ctx); err != nil {
			return err
		}
		p.repository.Fresh = p.follower.Fresh
	}
	if p.identity, err = p.follower.Start(ctx); err != nil {
		return fmt.Errorf("DAYBOOK_EVENTSTORE_URL: %w", err)
	}
	return nil
}

// close gives everything back. It may be called on half-opened parts.
func (p *parts) close() {
	if p.works && p.follower != nil {
		p.follower.Leave(context.Background())
	}
	for _, client := range []*eventstore.Client{p.client, p.replays} {
		if client != nil {
			client.Close()
		}
	}
	if p.objects != nil {
		p.objects.Close()
	}
	if p.vaultPool != nil && p.vaultPool != p.pool {
		p.vaultPool.Close()
	}
	if p.pool != nil {
		p.pool.Close()
	}
}

func (p *parts) commands(s *Settings, notices commands.Notices, logger *slog.Logger) *commands.Handler {
	p.hasher = password.NewHasher(password.DefaultParameters)
	return &commands.Handler{
		Store: observedStore{p.repository, p.observer},
		Credentials: &vault.Credentials{
			Vault: p.vaultPool, App: p.pool, Tries: s.SignInTries, TryWindow: s.SignInWindow,
		},
		Passwords: p.hasher,
		Tokens:    p.tokens,
		Sessions:  p.sessions,
		Objects:   p.objects,
		Vault:     p.vault,
		Notices:   notices,
		Config: commands.Config{
			ResetLifetime: s.ResetLifetime, ActivationLifetime: s.ActivationLifetime, AddressChangeLifetime: s.AddressLifetime,
			MailsPerHour: domain.MailCap(s.MailsPerHour),
			Passwords:    domain.PasswordPolicy{MinLength: s.PasswordMinLength},
			IDKey:        p.idKey, Producer: producer(),
		},
		Now:     time.Now,
		Logger:  logger,
		Observe: p.observer.command,
	}
}

func (p *parts) idempotency() *idempotency.Store {
	return &idempotency.Store{Pool: p.pool, Key: p.idKey}
}
