package email

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"flag"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"
)

// scripted is a relay that does what a test wants. Each list of answers is used
// up from the front; then everything is accepted.
type scripted struct {
	mailFrom  []string
	rcpt      []string
	stallData int // so many messages are never answered
	password  string
	dropAfter int // connections end after so many messages; 0: never

	listener net.Listener
	server   *gosmtp.Server
	stalled  context.Context // ends when a message is being stalled
	stall    context.CancelFunc
	released chan struct{}

	mu          sync.Mutex
	connections int
	recipients  []string // RCPT, as on the wire
	messages    []string
}

// startScripted starts the relay after the test has changed it.
func startScripted(t *testing.T, change func(*scripted)) *scripted {
	t.Helper()
	return startScriptedTLS(t, nil, nil, change)
}

// startScriptedTLS offers STARTTLS, or speaks TLS from the first byte.
func startScriptedTLS(t *testing.T, starttls, implicit *tls.Config, change func(*scripted)) *scripted {
	t.Helper()
	s := &scripted{released: make(chan struct{})}
	s.stalled, s.stall = context.WithCancel(context.Background())
	change(s)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.listener = listener
	if implicit != nil {
		listener = tls.NewListener(listener, implicit)
	}
	s.server = gosmtp.NewServer(gosmtp.BackendFunc(s.newSession))
	s.server.Domain, s.server.TLSConfig, s.server.EnableSMTPUTF8 = "relay.example", starttls, true
	s.server.ErrorLog = quiet{}
	go func() { _ = s.server.Serve(listener) }()
	t.Cleanup(func() {
		close(s.released)
		s.stall()
		_ = s.server.Close()
	})
	return s
}

func (s *scripted) url() string { return "smtp://" + s.listener.Addr().String() + "?tls=none" }

func (s *scripted) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.messages)
}

// answer takes the next answer, such as "451 4.0.0 Later".
func (s *scripted) answer(from *[]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(*from) == 0 {
		return nil
	}
	next := (*from)[0]
	*from = (*from)[1:]
	parts := strings.SplitN(next, " ", 3)
	code, _ := strconv.Atoi(parts[0])
	var enhanced gosmtp.EnhancedCode
	for i, n := range strings.Split(parts[1], ".") {
		enhanced[i], _ = strconv.Atoi(n)
	}
	return &gosmtp.SMTPError{Code: code, EnhancedCode: enhanced, Message: parts[2]}
}

type scriptedSession struct {
	relay *scripted
	conn  *gosmtp.Conn
	taken int
}

func (s *scripted) newSession(conn *gosmtp.Conn) (gosmtp.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connections++
	return &scriptedSession{relay: s, conn: conn}, nil
}

func (s *scriptedSession) AuthMechanisms() []string {
	if s.relay.password == "" {
		return nil
	}
	return []string{sasl.Plain}
}

func (s *scriptedSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, _, password string) error {
		if password != s.relay.password {
			return &gosmtp.SMTPError{Code: 535, EnhancedCode: gosmtp.EnhancedCode{5, 7, 8}, Message: "no: " + password}
		}
		return nil
	}), nil
}

func (s *scriptedSession) Mail(string, *gosmtp.MailOptions) error {
	return s.relay.answer(&s.relay.mailFrom)
}

func (s *scriptedSession) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	s.relay.mu.Lock()
	s.relay.recipients = append(s.relay.recipients, to)
	s.relay.mu.Unlock()
	return s.relay.answer(&s.relay.rcpt)
}

func (s *scriptedSession) Data(r io.Reader) error {
	content, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.relay.mu.Lock()
	stall := s.relay.stallData > 0
	if stall {
		s.relay.stallData--
	} else {
		s.relay.messages = append(s.relay.messages, string(content))
	}
	s.relay.mu.Unlock()
	if stall {
		s.relay.stall()
		<-s.relay.released
	}
	if s.taken++; s.taken == s.relay.dropAfter {
		go func() { _ = s.conn.Close() }()
	}
	return nil
}

func (s *scriptedSession) Reset()        {}
func (s *scriptedSession) Logout() error { return nil }

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// authority is trusted by this test binary, see TestMain.
var authority *x509.Certificate
var authorityKey *ecdsa.PrivateKey

// TestMain makes a certificate authority of the tests' own the system's: so the
// code under test has no way to be told of another.
func TestMain(m *testing.M) {
	// Each case of a property is a history in Postgres.
	if err := flag.Set("rapid.checks", "15"); err != nil {
		panic(err)
	}
	directory, err := os.MkdirTemp("", "authority-")
	if err != nil {
		panic(err)
	}
	authorityKey, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	authority = sign(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil, &authorityKey.PublicKey, authorityKey)
	file := filepath.Join(directory, "authority.pem")
	encoded := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Raw})
	if err := os.WriteFile(file, encoded, 0o600); err != nil {
		panic(err)
	}
	_ = os.Setenv("SSL_CERT_FILE", file)
	code := m.Run()
	_ = os.RemoveAll(directory)
	os.Exit(code)
}

// certificate returns one for 127.0.0.1, by the trusted authority or by itself.
func certificate(trusted bool) *tls.Config {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	var issued *x509.Certificate
	if trusted {
		issued = sign(template, authority, &key.PublicKey, authorityKey)
	} else {
		issued = sign(template, nil, &key.PublicKey, key)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{issued.Raw}, PrivateKey: key}}}
}

func sign(template, parent *x509.Certificate, public *ecdsa.PublicKey, signer *ecdsa.PrivateKey) *x509.Certificate {
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.Subject = pkix.Name{CommonName: "test"}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if parent == nil {
		parent = template
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		panic(err)
	}
	issued, err := x509.ParseCertificate(raw)
	if err != nil {
		panic(err)
	}
	return issued
}
