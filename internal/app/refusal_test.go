package app_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"daybook/internal/app"
	"daybook/internal/testkit"
)

// refused opens the service and returns the sentence it refuses with.
func refused(t *testing.T, s app.Settings) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	a, err := app.Open(ctx, s, app.Everything, slog.New(slog.DiscardHandler))
	if err == nil {
		runCtx, stop := context.WithCancel(ctx)
		stop()
		_ = a.Run(runCtx)
		t.Fatal("the service started")
	}
	return err.Error()
}

// TestRefusals: what is missing or wrong at the start is named in one sentence
// with its setting, and nothing stays half-started.
func TestRefusals(t *testing.T) {
	t.Parallel()
	closed := closedPort(t)
	for name, test := range map[string]struct {
		change func(*app.Settings)
		says   string
	}{
		"database away":        {func(s *app.Settings) { s.DatabaseURL = "postgres://nobody@" + closed + "/x" }, "DAYBOOK_DATABASE_URL"},
		"database URL":         {func(s *app.Settings) { s.DatabaseURL = "mysql://x" }, "DAYBOOK_DATABASE_URL"},
		"vault away":           {func(s *app.Settings) { s.VaultURL = "postgres://nobody@" + closed + "/x" }, "DAYBOOK_VAULT_URL"},
		"event store away":     {func(s *app.Settings) { s.EventStoreURL = "esdb://" + closed + "?tls=false" }, "DAYBOOK_EVENTSTORE_URL"},
		"event store URL":      {func(s *app.Settings) { s.EventStoreURL = "http://x" }, "DAYBOOK_EVENTSTORE_URL"},
		"objects away":         {func(s *app.Settings) { s.S3URL = "http://KEY:SECRET@" + closed + "/bucket" }, "DAYBOOK_S3_URL"},
		"mail URL":             {func(s *app.Settings) { s.SMTPURL = "ftp://x" }, "DAYBOOK_SMTP_URL"},
		"Kafka URL":            {func(s *app.Settings) { s.KafkaURL = "h:9092?password=SECRET" }, "DAYBOOK_KAFKA_URL"},
		"namespace for Kafka":  {func(s *app.Settings) { s.KafkaURL = "kafka://h:9092"; s.Namespace = "a/b" }, "DAYBOOK_KAFKA_URL"},
		"public URL":           {func(s *app.Settings) { s.PublicURL = "localhost" }, "DAYBOOK_PUBLIC_URL"},
		"security contact":     {func(s *app.Settings) { s.Contacts = []string{"ann@example.com"} }, "DAYBOOK_SECURITY_CONTACT"},
		"proxies":              {func(s *app.Settings) { s.TrustedProxies = []string{"all"} }, "DAYBOOK_TRUSTED_PROXIES"},
		"keys":                 {func(s *app.Settings) { s.MasterKeys = "a:short" }, "DAYBOOK_MASTER_KEYS"},
		"address in use":       {func(s *app.Settings) { s.HTTPAddr = openPort(t) }, "DAYBOOK_HTTP_ADDR"},
		"metrics port in use":  {func(s *app.Settings) { s.MetricsAddr = openPort(t) }, "DAYBOOK_METRICS_ADDR"},
		"production, embedded": {func(s *app.Settings) { s.Env = "production" }, "DAYBOOK_EVENTSTORE_URL"},
		"public, embedded":     {func(s *app.Settings) { s.HTTPAddr = "0.0.0.0:0"; s.DatabaseURL = "" }, "DAYBOOK_ALLOW"},
		"misspelt exception":   {func(s *app.Settings) { s.Allow = []string{"mail-box"} }, `DAYBOOK_ALLOW: "mail-box"`},
		"idle end too short":   {func(s *app.Settings) { s.SessionIdle = time.Minute }, "DAYBOOK_SESSION_IDLE_LIFETIME"},
		"data dir is a file":   {func(s *app.Settings) { s.DataDir = fileAt(t) }, "DAYBOOK_DATA_DIR"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := settings(t)
			test.change(&s)
			if sentence := refused(t, s); !strings.Contains(sentence, test.says) || strings.Contains(sentence, "SECRET") || strings.ContainsAny(sentence, "\n\t") || strings.Contains(sentence, "event_store_unavailable") {
				t.Errorf("it says %q", sentence)
			}
		})
	}
}

func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func openPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String()
}

func fileAt(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// once runs the service until it is open, registers somebody, and ends it.
func once(t *testing.T, s app.Settings) {
	t.Helper()
	t.Run("first run", func(t *testing.T) { start(t, s).register("first@example.com") })
}

func TestDataDirInUse(t *testing.T) {
	s := settings(t)
	start(t, s)
	if sentence := refused(t, s); !strings.Contains(sentence, "in use") {
		t.Errorf("it says %q", sentence)
	}
}

func TestOtherKeys(t *testing.T) {
	s := settings(t)
	once(t, s)
	for setting, change := range map[string]func(*app.Settings){
		"DAYBOOK_MASTER_KEYS":  func(s *app.Settings) { s.MasterKeys = testkit.KeySet("other").String() },
		"DAYBOOK_TOKEN_KEYS":   func(s *app.Settings) { s.TokenKeys = testkit.KeySet("other").String() },
		"DAYBOOK_ADDRESS_KEYS": func(s *app.Settings) { s.AddressKeys = testkit.KeySet("other").String() },
	} {
		other := s
		change(&other)
		if sentence := refused(t, other); !strings.Contains(sentence, setting) {
			t.Errorf("%s: it says %q", setting, sentence)
		}
	}
}

func TestWipedStore(t *testing.T) {
	s := settings(t)
	once(t, s)
	if err := os.Remove(filepath.Join(s.DataDir, "events.db")); err != nil {
		t.Fatal(err)
	}
	if sentence := refused(t, s); !strings.Contains(sentence, "belongs to event store") {
		t.Errorf("it says %q", sentence)
	}
}

func TestOlderCopyOfStore(t *testing.T) {
	s := settings(t)
	once(t, s)
	path := filepath.Join(s.DataDir, "events.db")
	copied, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("second run", func(t *testing.T) { start(t, s).register("second@example.com") })
	if err := os.WriteFile(path, copied, 0o600); err != nil {
		t.Fatal(err)
	}
	if sentence := refused(t, s); !strings.Contains(sentence, "older copy") {
		t.Errorf("it says %q", sentence)
	}
}

func TestDatabaseOfAnotherStore(t *testing.T) {
	s := settings(t)
	once(t, s)
	other := settings(t)
	other.DatabaseURL = s.DatabaseURL
	if sentence := refused(t, other); !strings.Contains(sentence, "belongs to event store") {
		t.Errorf("it says %q", sentence)
	}
}

func TestOtherPostgresMajor(t *testing.T) {
	s := settings(t)
	s.DatabaseURL = ""
	s.DataDir = reachableDir(t)
	cluster := filepath.Join(s.DataDir, "postgres")
	if err := os.Mkdir(cluster, 0o700); err != nil {
		t.Fatal(err)
	}
	version := filepath.Join(cluster, "PG_VERSION")
	if err := os.WriteFile(version, []byte("9.6\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if sentence := refused(t, s); !strings.Contains(sentence, "9") || !strings.Contains(sentence, "left as it is") {
		t.Errorf("it says %q", sentence)
	}
	if _, err := os.Stat(version); err != nil {
		t.Errorf("the old cluster was touched: %v", err)
	}
}
