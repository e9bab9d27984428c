package node_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"daybook/internal/eventstore/node"
)

// certificate makes a certificate for 127.0.0.1 and the pool that trusts it.
func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "node"},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, pool
}

func serveTCP(t *testing.T, config node.Config, address string) (string, chan error) {
	t.Helper()
	n, err := node.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- n.Serve(listener) }()
	return listener.Addr().String(), served
}

// TestPasswordAndTLS connects with the right credentials, wrong ones and none.
func TestPasswordAndTLS(t *testing.T) {
	tlsConfig, pool := certificate(t)
	address, _ := serveTCP(t, node.Config{TLS: tlsConfig, Username: "daybook", Password: "s3cret: with colon"}, "127.0.0.1:0")
	for name, test := range map[string]struct {
		user, password string
		want           esdb.ErrorCode
	}{
		"right":          {"daybook", "s3cret: with colon", -1},
		"wrong password": {"daybook", "secret", esdb.ErrorCodeUnauthenticated},
		"wrong user":     {"admin", "s3cret: with colon", esdb.ErrorCodeUnauthenticated},
		"none":           {"", "", esdb.ErrorCodeAccessDenied},
	} {
		config, err := esdb.ParseConnectionString("esdb://" + address + "?tls=true")
		if err != nil {
			t.Fatal(err)
		}
		config.RootCAs, config.Username, config.Password = pool, test.user, test.password
		config.Logger = func(esdb.LogLevel, string, ...any) {}
		c, err := esdb.NewClient(config)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, err = c.AppendToStream(t.Context(), "s", esdb.AppendToStreamOptions{}, newEvent())
		got := esdb.ErrorCode(-1)
		if e, ok := errors.AsType[*esdb.Error](err); ok {
			got = e.Code()
		}
		if got != test.want {
			t.Errorf("%s credentials: append gave code %d (%v), want %d", name, got, err, test.want)
		}
		if sub, err := c.SubscribeToAll(t.Context(), esdb.SubscribeToAllOptions{}); (err == nil) != (test.want == -1) {
			t.Errorf("%s credentials: subscribe gave %v", name, err)
		} else if err == nil {
			_ = sub.Close()
		}
	}
}

func TestExposedListenerIsRefused(t *testing.T) {
	tlsConfig, _ := certificate(t)
	for name, config := range map[string]node.Config{"nothing": {}, "TLS only": {TLS: tlsConfig}} {
		_, served := serveTCP(t, config, "0.0.0.0:0")
		if err := <-served; !errors.Is(err, node.ErrExposed) {
			t.Errorf("with %s: %v, want ErrExposed", name, err)
		}
	}
	address, served := serveTCP(t, node.Config{TLS: tlsConfig, Username: "u", Password: "p"}, "0.0.0.0:0")
	connection, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		select {
		case err = <-served:
		default:
		}
		t.Fatalf("with TLS and password: %v", err)
	}
	_ = connection.Close()
}

func TestOpenRefusesHalfSecurity(t *testing.T) {
	tlsConfig, _ := certificate(t)
	for name, config := range map[string]node.Config{
		"password without TLS":    {Username: "u", Password: "p"},
		"user without password":   {TLS: tlsConfig, Username: "u"},
		"password without a user": {TLS: tlsConfig, Password: "p"},
	} {
		if n, err := node.Open(config); err == nil {
			t.Errorf("%s: accepted", name)
			_ = n.Close()
		}
	}
}

// certificateFile writes the certificate to a file.
func certificateFile(t *testing.T, config *tls.Config) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "certificate.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: config.Certificates[0].Certificate[0]}
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
