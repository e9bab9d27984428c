package postgres_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"daybook/internal/embedded/postgres"
)

// helperVariable makes the test binary run one cluster, over the directory that
// it names, until it is killed or its standard input ends: a process to kill.
const helperVariable = "DAYBOOK_POSTGRES_HELPER"

// temporaryCluster stands for no directory there.
const temporaryCluster = "temporary"

func TestMain(m *testing.M) {
	if directory := os.Getenv(helperVariable); directory != "" {
		os.Exit(helperMain(directory))
	}
	os.Exit(m.Run())
}

func helperMain(directory string) int {
	if directory == temporaryCluster {
		directory = ""
	}
	cluster, err := postgres.Start(context.Background(), postgres.Config{DataDir: directory, Unsafe: true})
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	fmt.Println(cluster.DSN("postgres"))
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := cluster.Stop(context.Background()); err != nil {
		return 1
	}
	return 0
}

// helper is the test binary in another process, perhaps as another user.
type helper struct {
	cmd   *exec.Cmd
	stdin io.Closer
	said  string // its first line: the DSN or an error
}

func startHelper(t *testing.T, directory string, as *syscall.Credential) helper {
	t.Helper()
	cmd := exec.Command(openCopyOfTestBinary(t))
	cmd.Env = append(os.Environ(), helperVariable+"="+directory)
	cmd.Dir = "/"
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }) // no harm when it has ended
	line, err := bufio.NewReader(stdout).ReadString('\n')
	must(t, err)
	return helper{cmd, stdin, strings.TrimSpace(line)}
}

// openCopyOfTestBinary exists because go test builds in a directory of mode 0700.
func openCopyOfTestBinary(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	content, err := os.ReadFile(self)
	must(t, err)
	path := filepath.Join(openDirectory(t), "helper")
	must(t, os.WriteFile(path, content, 0o755))
	return path
}

// openDirectory is a temporary directory that every user may enter, unlike
// testing.T.TempDir.
func openDirectory(t *testing.T) string {
	t.Helper()
	directory, err := os.MkdirTemp("", "postgres-test-")
	must(t, err)
	must(t, os.Chmod(directory, 0o755))
	t.Cleanup(func() { must(t, os.RemoveAll(directory)) })
	return directory
}

func startCluster(t *testing.T, directory string) *postgres.Cluster {
	t.Helper()
	cluster, err := postgres.Start(t.Context(), unsafeConfig(t, directory))
	must(t, err)
	t.Cleanup(func() { must(t, cluster.Stop(context.Background())) })
	return cluster
}

func unsafeConfig(t *testing.T, directory string) postgres.Config {
	logger := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	return postgres.Config{DataDir: directory, Unsafe: true, Logger: logger}
}

// query runs one statement and returns its only value as text.
func query(t *testing.T, dsn, statement string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	must(t, err)
	defer conn.Close(context.Background())
	result, err := conn.PgConn().Exec(t.Context(), statement).ReadAll()
	must(t, err)
	if len(result) == 0 || len(result[len(result)-1].Rows) == 0 {
		return ""
	}
	return string(result[len(result)-1].Rows[0][0])
}

// await returns when the condition holds and fails the test after ten seconds.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(10 * time.Second)
	for !condition() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func requireRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root becomes another user")
	}
}
