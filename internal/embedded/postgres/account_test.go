package postgres_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"daybook/internal/embedded/postgres"
)

func TestRootDropsToAnUnprivilegedUser(t *testing.T) {
	requireRoot(t)
	directory := filepath.Join(openDirectory(t), "data")
	startCluster(t, directory)
	info, err := os.Stat(filepath.Join(directory, "postmaster.pid"))
	must(t, err)
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid == 0 {
		t.Error("the server runs as root")
	}
}

func TestClosedParentIsNamed(t *testing.T) {
	requireRoot(t)
	closed := filepath.Join(openDirectory(t), "closed")
	must(t, os.Mkdir(closed, 0o700))
	_, err := postgres.Start(t.Context(), unsafeConfig(t, filepath.Join(closed, "data")))
	if err == nil || !strings.Contains(err.Error(), closed+" has mode 0700") {
		t.Errorf("Start returned %v", err)
	}
	if info, err := os.Stat(closed); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("a directory that was there got another mode: %v, %v", info.Mode(), err)
	}
}

func TestMissingParentsAreOpenUnderATightUmask(t *testing.T) {
	requireRoot(t)
	base := openDirectory(t)
	former := syscall.Umask(0o077)
	defer syscall.Umask(former)
	startCluster(t, filepath.Join(base, "one", "two", "data"))
}

func TestOrdinaryUser(t *testing.T) {
	requireRoot(t)
	base := openDirectory(t)
	must(t, os.Chown(base, 65534, 65534))
	user := startHelper(t, filepath.Join(base, "data"), &syscall.Credential{Uid: 65534, Gid: 65534})
	if got := query(t, user.said, "SELECT 1"); got != "1" {
		t.Errorf("got %q", got)
	}
	must(t, user.stdin.Close())
	must(t, user.cmd.Wait())
	// Root continues as the owner of the cluster.
	startCluster(t, filepath.Join(base, "data"))
}

func TestUserWithoutNameIsRefused(t *testing.T) {
	requireRoot(t)
	base := openDirectory(t)
	must(t, os.Chown(base, 12345, 12345))
	user := startHelper(t, filepath.Join(base, "data"), &syscall.Credential{Uid: 12345, Gid: 12345})
	if !strings.Contains(user.said, "user id 12345 has no entry in the password file") {
		t.Errorf("it said %q", user.said)
	}
}
