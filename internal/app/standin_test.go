package app_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"daybook/internal/embedded/kafka"
	"daybook/internal/embedded/s3"
	"daybook/internal/embedded/smtp"
)

// standInVariable makes this binary one of the stand-ins of internal/embedded, a
// process of its own, in place of the tests. Its arguments are which one, and where
// it keeps its data.
const standInVariable = "DAYBOOK_TEST_STAND_IN"

// standIn starts one and returns what it says of itself: its URL, and for mail that
// of the mailbox behind it.
func standIn(t *testing.T, name string) (m *member, urls string) {
	t.Helper()
	m = &member{tb: t, arguments: []string{name, t.TempDir()}, env: []string{standInVariable + "=1"}}
	t.Cleanup(m.stop)
	m.start()
	return m, strings.TrimSpace(m.output.String())
}

// standInMain runs the stand-in until the process is told to end.
func standInMain(name, dir string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	urls, end, err := startStandIn(ctx, name, dir)
	if err != nil {
		return err
	}
	fmt.Println(urls)
	<-ctx.Done()
	return end(context.Background())
}

func startStandIn(ctx context.Context, name, dir string) (urls string, end func(context.Context) error, err error) {
	switch name {
	case "s3":
		server, err := s3.Start(ctx, s3.Config{Dir: dir, AccessKey: "key", SecretKey: "secret", Bucket: "daybook"})
		if err != nil {
			return "", nil, err
		}
		return server.URL(), server.Stop, nil
	case "smtp":
		server, err := smtp.Start(ctx, smtp.Config{Dir: dir})
		if err != nil {
			return "", nil, err
		}
		return server.URL() + " " + httptest.NewServer(server.Handler()).URL, server.Stop, nil
	case "kafka":
		server, err := kafka.Start(kafka.Config{Dir: dir})
		if err != nil {
			return "", nil, err
		}
		return server.URL(), server.Stop, nil
	}
	return "", nil, fmt.Errorf("there is no stand-in %q", name)
}
