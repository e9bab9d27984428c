package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func start(t *testing.T, dir string) *Server {
	t.Helper()
	s, err := Start(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func client(t *testing.T, s *Server, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append(options, kgo.SeedBrokers(strings.TrimPrefix(s.URL(), "kafka://")), kgo.DefaultProduceTopic("events"))...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestRestart: records, topic and port are there again.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	var url string
	for round := range 3 {
		s := start(t, dir)
		if round > 0 && s.URL() != url {
			t.Errorf("start %d is at %s, the one before was at %s", round, s.URL(), url)
		}
		url = s.URL()
		if round == 0 {
			if err := s.cluster.CreateTopic("events", 1, nil); err != nil {
				t.Fatal(err)
			}
		}
		record := kgo.StringRecord(fmt.Sprint(round))
		producer := client(t, s)
		if err := producer.ProduceSync(t.Context(), record).FirstErr(); err != nil {
			t.Fatal(err)
		}
		producer.Close()
		if got, want := read(t, s, round+1), "[0 1 2]"[:2+2*round]+"]"; got != want {
			t.Errorf("start %d holds %s, want %s", round, got, want)
		}
		stop(t, s)
	}
}

func read(t *testing.T, s *Server, count int) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	consumer := client(t, s, kgo.ConsumeTopics("events"))
	defer consumer.Close()
	var values []string
	for len(values) < count {
		fetched := consumer.PollFetches(ctx)
		if err := fetched.Err(); err != nil {
			t.Fatal(err)
		}
		fetched.EachRecord(func(r *kgo.Record) { values = append(values, string(r.Value)) })
	}
	return fmt.Sprint(values)
}

func TestOneAtATime(t *testing.T) {
	dir := t.TempDir()
	first := start(t, dir)
	if _, err := Start(Config{Dir: dir}); !errors.Is(err, ErrInUse) {
		t.Errorf("a second server: %v, want ErrInUse", err)
	}
	stop(t, first)
	start(t, dir)
}

// TestTakenPort: another process's port is no reason not to start, and the known
// one is not forgotten for it.
func TestTakenPort(t *testing.T) {
	dir := t.TempDir()
	known := start(t, dir)
	stop(t, known)
	other, err := net.Listen("tcp", strings.TrimPrefix(known.URL(), "kafka://"))
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := start(t, dir)
	if elsewhere.URL() == known.URL() {
		t.Error("two listen on one port")
	}
	stop(t, elsewhere)
	_ = other.Close()
	if again := start(t, dir); again.URL() != known.URL() {
		t.Errorf("at %s, was at %s", again.URL(), known.URL())
	}
}

func TestRefused(t *testing.T) {
	if _, err := Start(Config{}); err == nil {
		t.Error("it started without a directory")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "port"), []byte("ninety"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(Config{Dir: dir}); err == nil {
		t.Error("it started on port ninety")
	}
}
