package app_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"daybook/internal/app"
	"daybook/internal/eventstore"
	"daybook/internal/testkit"
)

// storeProcess is the event store as a process of its own, and its address.
type storeProcess struct {
	*member
	url string
}

// secureStore prepares an event store that asks for a password over TLS.
func secureStore(t *testing.T, file string) storeProcess {
	t.Helper()
	const password = "not: a good one"
	certificate, key := certificateFiles(t)
	addr := closedPort(t)
	s := storeProcess{member: &member{tb: t, arguments: []string{
		"eventstore", "--addr", addr, "--file", file, "--tls-certificate", certificate, "--tls-key", key,
		"--username", "daybook", "--password-file", secretFile(t, password),
	}}}
	t.Cleanup(s.stop)
	address := url.URL{
		Scheme: "esdb", User: url.UserPassword("daybook", password), Host: addr,
		RawQuery: url.Values{"tls": {"true"}, "tlsCaFile": {certificate}}.Encode(),
	}
	s.url = address.String()
	return s
}

// certificateFiles makes a certificate for 127.0.0.1 that signs itself.
func certificateFiles(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "event store"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pemFile(t, "CERTIFICATE", signed), pemFile(t, "PRIVATE KEY", encoded)
}

func pemFile(t *testing.T, kind string, content []byte) string {
	t.Helper()
	return secretFile(t, strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}))))
}

func ping(t *testing.T, config eventstore.Config) error {
	t.Helper()
	config.Timeout = 5 * time.Second
	client, err := eventstore.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	return client.Ping(t.Context())
}

// command runs a subcommand in this process until the test or the subcommand ends.
func command(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	var output logBuffer
	err := app.Main(t.Context(), arguments, &output, &output)
	return output.String(), err
}

func TestEventStoreAsksForThePassword(t *testing.T) {
	s := secureStore(t, filepath.Join(t.TempDir(), "new", "events.db"))
	s.start()
	if err := ping(t, eventstore.Config{URL: s.url}); err != nil {
		t.Errorf("the right password: %v", err)
	}
	if err := ping(t, eventstore.Config{URL: strings.Replace(s.url, "daybook:", "other:", 1)}); err == nil {
		t.Error("another user was let in")
	}
}

// TestEventStoreOnASocket kills an event store on a socket and starts it again:
// the socket that is left is no obstacle, and one that is in use is.
func TestEventStoreOnASocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "daybook") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket, file := filepath.Join(dir, "s"), filepath.Join(dir, "events.db")
	m := &member{tb: t, arguments: []string{"eventstore", "--addr", "unix:" + socket, "--file", file}}
	t.Cleanup(m.stop)
	for range 2 {
		m.start()
		if err := ping(t, eventstore.Config{Socket: socket}); err != nil {
			t.Fatal(err)
		}
		if _, err := command(t, "eventstore", "--addr", "unix:"+socket, "--file", file+"2"); err == nil || !strings.Contains(err.Error(), "another process listens") {
			t.Errorf("a second one on the socket: %v", err)
		}
		if _, err := command(t, "eventstore", "verify", "--file", file); err == nil || !strings.Contains(err.Error(), "stop the event store first") {
			t.Errorf("verify while it runs: %v", err)
		}
		m.kill()
	}
}

// TestEventStoreEndsWithItsContext: within it, and without an error.
func TestEventStoreEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	output, ended := &logBuffer{}, make(chan error, 1)
	go func() {
		ended <- app.Main(ctx, []string{"eventstore", "--addr", "127.0.0.1:0", "--data-dir", t.TempDir()}, output, output)
	}()
	testkit.Await(t, 10*time.Second, "it listens", func() bool { return strings.Contains(output.String(), "listens on") })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestEventStoreRefusals: each in a sentence.
func TestEventStoreRefusals(t *testing.T) {
	certificate, key := certificateFiles(t)
	absent := filepath.Join(t.TempDir(), uuid.NewString())
	for name, test := range map[string]struct {
		arguments []string
		says      string
	}{
		"to everybody":         {[]string{"--addr", "0.0.0.0:0"}, "TLS and a password"},
		"no password":          {[]string{"--addr", "0.0.0.0:0", "--tls-certificate", certificate, "--tls-key", key}, "TLS and a password"},
		"password without TLS": {[]string{"--username", "daybook", "--password-file", key}, "a password needs TLS"},
		"no certificate":       {[]string{"--tls-certificate", absent, "--tls-key", key}, "certificate cannot be used"},
		"no password file":     {[]string{"--username", "daybook", "--password-file", absent}, "password file cannot be read"},
		"nothing to verify":    {[]string{"verify", "--file", absent}, "there is no event store"},
		"nothing to back up":   {[]string{"backup", "--file", absent, absent + "2"}, "there is no event store"},
		"nothing to compact":   {[]string{"compact", "--file", absent, absent + "2"}, "there is no event store"},
		"backup over a file":   {[]string{"backup", "--file", storeFile(t), key}, "exist"},
		"verify another file":  {[]string{"verify", "--file", key}, "not an event store file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("DAYBOOK_DATA_DIR", t.TempDir())
			output, err := command(t, append([]string{"eventstore"}, test.arguments...)...)
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("it says %v %s", err, output)
			}
		})
	}
	if _, err := os.Stat(absent); err == nil {
		t.Error("looking for an event store has made one")
	}
}

// storeFile makes an empty event store.
func storeFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "events.db")
	m := &member{tb: t, arguments: []string{"eventstore", "--addr", "127.0.0.1:0", "--file", path}}
	m.start()
	m.kill()
	return path
}
