package smtp_test

import (
	"context"
	"log/slog"
	"net"
	"net/smtp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wneessen/go-mail"

	catcher "daybook/internal/embedded/smtp"
)

func start(t *testing.T, config catcher.Config) *catcher.Server {
	t.Helper()
	if config.Dir == "" {
		config.Dir = t.TempDir()
	}
	config.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	server, err := catcher.Start(t.Context(), config)
	must(t, err)
	t.Cleanup(func() { must(t, server.Stop(context.Background())) })
	return server
}

// send delivers raw mail by the standard library's client.
func send(server *catcher.Server, to, raw string) error {
	body := strings.ReplaceAll(raw, "\n", "\r\n")
	return smtp.SendMail(server.Addr(), nil, "sender@example.com", strings.Split(to, ","), []byte(body))
}

// sendMail delivers a message by the client that the email worker uses.
func sendMail(t *testing.T, server *catcher.Server, message *mail.Msg) error {
	t.Helper()
	host, port, err := net.SplitHostPort(server.Addr())
	must(t, err)
	number, err := strconv.Atoi(port)
	must(t, err)
	client, err := mail.NewClient(host, mail.WithPort(number), mail.WithTLSPolicy(mail.NoTLS), mail.WithTimeout(10*time.Second))
	must(t, err)
	return client.DialAndSendWithContext(t.Context(), message)
}

func activationMail(t *testing.T, to string) *mail.Msg {
	t.Helper()
	message := mail.NewMsg()
	must(t, message.FromFormat("Dåybook", "noreply@daybook.example"))
	must(t, message.To(to))
	message.Subject("Bitte bestätigen — ✓")
	message.SetMessageIDWithValue("event-1@daybook.example")
	message.SetBodyString(mail.TypeTextPlain, "Grüße\n.dot\nhttp://localhost/a")
	message.AddAlternativeString(mail.TypeTextHTML, "<p>Grüße <a href=\"http://localhost/a\">link</a></p>")
	return message
}

func messages(t *testing.T, server *catcher.Server, to string) []catcher.Message {
	t.Helper()
	found, err := server.Messages(to)
	must(t, err)
	return found
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
