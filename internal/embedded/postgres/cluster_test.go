package postgres_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"daybook/internal/embedded/postgres"
)

func TestClusterKeepsItsDataBetweenStarts(t *testing.T) {
	t.Parallel()
	directory := filepath.Join(openDirectory(t), "deep", "data")
	began := time.Now()
	cluster, err := postgres.Start(t.Context(), postgres.Config{DataDir: directory})
	must(t, err)
	t.Logf("cold start took %v", time.Since(began))
	query(t, cluster.DSN("postgres"), "CREATE DATABASE kept")
	query(t, cluster.DSN("kept"), "CREATE TABLE t (v text); INSERT INTO t VALUES ('stays')")
	must(t, cluster.Stop(t.Context()))

	began = time.Now()
	again := startCluster(t, directory)
	t.Logf("warm start took %v", time.Since(began))
	if got := query(t, again.DSN("kept"), "SELECT v FROM t"); got != "stays" {
		t.Errorf("read %q after a restart", got)
	}
}

func TestOnlyTheSocketLeadsIn(t *testing.T) {
	t.Setenv("PGPORT", "1") // must not matter
	t.Setenv("PGHOST", "nowhere.invalid")
	t.Setenv("PGSSLMODE", "verify-full")
	cluster := startCluster(t, "")
	dsn := cluster.DSN("postgres")
	for setting, want := range map[string]string{
		"listen_addresses": "", "server_encoding": "UTF8", "TimeZone": "UTC", "unix_socket_permissions": "0700",
	} {
		if got := query(t, dsn, "SHOW "+setting); got != want {
			t.Errorf("%s is %q, not %q", setting, got, want)
		}
	}
	info, err := os.Stat(cluster.SocketDir())
	must(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("the socket directory has mode %v", info.Mode())
	}
}

func TestStopReleasesEverything(t *testing.T) {
	t.Parallel()
	cluster, err := postgres.Start(t.Context(), unsafeConfig(t, ""))
	must(t, err)
	dataDir := query(t, cluster.DSN("postgres"), "SHOW data_directory")
	if cluster.Err() != nil {
		t.Errorf("a running cluster has the error %v", cluster.Err())
	}
	must(t, cluster.Stop(t.Context()))
	must(t, cluster.Stop(t.Context()))
	<-cluster.Done()
	if cluster.Err() != nil {
		t.Errorf("a stopped cluster has the error %v", cluster.Err())
	}
	for _, path := range []string{dataDir, filepath.Dir(dataDir), cluster.SocketDir()} {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
}

func TestStopOutOfTimeAborts(t *testing.T) {
	t.Parallel()
	cluster, err := postgres.Start(t.Context(), unsafeConfig(t, ""))
	must(t, err)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := cluster.Stop(ended); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Stop returned %v", err)
	}
	<-cluster.Done()
}

func TestDeathOfTheServerIsReported(t *testing.T) {
	t.Parallel()
	directory := filepath.Join(openDirectory(t), "data")
	cluster, err := postgres.Start(t.Context(), unsafeConfig(t, directory))
	must(t, err)
	must(t, syscall.Kill(serverPID(t, directory), syscall.SIGKILL))
	<-cluster.Done()
	if err := cluster.Err(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("Err returned %v", err)
	}
	must(t, cluster.Stop(t.Context()))
	startCluster(t, directory)
}

func TestSecondStartIsRefused(t *testing.T) {
	t.Parallel()
	directory := filepath.Join(openDirectory(t), "data")
	startCluster(t, directory)
	if _, err := postgres.Start(t.Context(), unsafeConfig(t, directory)); !errors.Is(err, postgres.ErrInUse) {
		t.Errorf("a second start returned %v", err)
	}
}

func TestKilledParentTakesTheServerWithIt(t *testing.T) {
	t.Parallel()
	directory := filepath.Join(openDirectory(t), "data")
	parent := startHelper(t, directory, nil)
	query(t, parent.said, "CREATE TABLE t (v text); INSERT INTO t VALUES ('committed')")
	pid := serverPID(t, directory)
	formerSocket := query(t, parent.said, "SHOW unix_socket_directories")

	must(t, parent.cmd.Process.Kill())
	_ = parent.cmd.Wait() // "signal: killed"
	began := time.Now()
	again := startCluster(t, directory) // at once, while the former server ends
	t.Logf("start after a kill took %v", time.Since(began))
	if got := query(t, again.DSN("postgres"), "SELECT v FROM t"); got != "committed" {
		t.Errorf("read %q after a kill", got)
	}
	if serverPID(t, directory) == pid {
		t.Error("the former server still runs")
	}
	if _, err := os.Stat(formerSocket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the former socket directory is still there: %v", err)
	}
}

func TestAbandonedTemporaryClusterIsRemoved(t *testing.T) {
	t.Parallel()
	alive, abandoned, fresh := startCluster(t, ""), abandon(t), abandon(t)
	old := time.Now().Add(-time.Hour)
	aliveDir := query(t, alive.DSN("postgres"), "SHOW data_directory")
	for _, directory := range []string{aliveDir, abandoned} {
		must(t, os.Chtimes(directory+".lock", old, old))
	}
	startCluster(t, "")
	if _, err := os.Stat(filepath.Dir(abandoned)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the abandoned cluster is still there: %v", err)
	}
	for _, directory := range []string{aliveDir, fresh} {
		if _, err := os.Stat(directory); err != nil {
			t.Errorf("a cluster was taken away: %v", err)
		}
	}
	socket, err := os.ReadFile(fresh + ".lock")
	must(t, err)
	must(t, os.Remove(strings.TrimSpace(string(socket))))
	must(t, os.RemoveAll(filepath.Dir(fresh)))
}

// abandon starts a temporary cluster in another process and kills that.
func abandon(t *testing.T) (directory string) {
	t.Helper()
	parent := startHelper(t, temporaryCluster, nil)
	directory = query(t, parent.said, "SHOW data_directory")
	must(t, parent.cmd.Process.Kill())
	_ = parent.cmd.Wait() // "signal: killed"
	await(t, "the end of the server", func() bool {
		_, err := os.Stat(filepath.Join(directory, "postmaster.pid"))
		return errors.Is(err, os.ErrNotExist)
	})
	return directory
}

// A pid file whose number now belongs to a stranger: this test's own process.
func TestRecycledProcessNumber(t *testing.T) {
	t.Parallel()
	directory := filepath.Join(openDirectory(t), "data")
	must(t, stopped(t, directory))
	content := strconv.Itoa(os.Getpid()) + "\n" + directory + "\n"
	must(t, os.WriteFile(filepath.Join(directory, "postmaster.pid"), []byte(content), 0o600))
	startCluster(t, directory)
}

// stopped creates a cluster and stops it.
func stopped(t *testing.T, directory string) error {
	t.Helper()
	cluster, err := postgres.Start(t.Context(), unsafeConfig(t, directory))
	if err != nil {
		return err
	}
	return cluster.Stop(t.Context())
}

func serverPID(t *testing.T, directory string) int {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(directory, "postmaster.pid"))
	must(t, err)
	first, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(first)
	must(t, err)
	return pid
}
