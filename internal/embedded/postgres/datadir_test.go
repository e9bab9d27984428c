package postgres_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"daybook/internal/embedded/postgres"
)

func TestOtherMajorVersionIsRefusedAndLeftAlone(t *testing.T) {
	t.Parallel()
	directory := filepath.Join(openDirectory(t), "data")
	must(t, stopped(t, directory))
	must(t, os.WriteFile(filepath.Join(directory, "PG_VERSION"), []byte("9.6\n"), 0o600))
	_, err := postgres.Start(t.Context(), unsafeConfig(t, directory))
	if err == nil || !strings.Contains(err.Error(), "was made by Postgres 9") {
		t.Errorf("Start returned %v", err)
	}
	if _, err := os.Stat(filepath.Join(directory, "base")); err != nil {
		t.Errorf("the cluster was touched: %v", err)
	}
}

func TestForeignDirectoryIsRefusedAndLeftAlone(t *testing.T) {
	t.Parallel()
	directory := filepath.Join(openDirectory(t), "data")
	must(t, os.Mkdir(directory, 0o755))
	photograph := filepath.Join(directory, "photograph.jpg")
	must(t, os.WriteFile(photograph, []byte("precious"), 0o644))
	_, err := postgres.Start(t.Context(), unsafeConfig(t, directory))
	if err == nil || !strings.Contains(err.Error(), "not a Postgres cluster") {
		t.Errorf("Start returned %v", err)
	}
	if content, err := os.ReadFile(photograph); err != nil || string(content) != "precious" {
		t.Errorf("the file was touched: %q, %v", content, err)
	}
}

func TestEmptyDirectoryIsUsed(t *testing.T) {
	t.Parallel()
	directory := filepath.Join(openDirectory(t), "data")
	must(t, os.Mkdir(directory, 0o755))
	startCluster(t, directory)
}

func TestInterruptedCreationLeavesNothingHalf(t *testing.T) {
	t.Parallel()
	parent := openDirectory(t)
	directory := filepath.Join(parent, "data")
	must(t, os.MkdirAll(filepath.Join(parent, "data.initdb-1", "base"), 0o700)) // as after a SIGKILL
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := postgres.Start(ctx, unsafeConfig(t, directory))
		failed <- err
	}()
	await(t, "initdb at work", func() bool {
		begun, err := filepath.Glob(filepath.Join(parent, "data.initdb-*", "postgresql.conf"))
		return err == nil && len(begun) > 0
	})
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Fatalf("the interrupted Start returned %v", err)
	}
	if _, err := os.Stat(directory); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half a cluster is there: %v", err)
	}
	startCluster(t, directory)
	if left, _ := filepath.Glob(filepath.Join(parent, "data.initdb-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestNoDataDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := postgres.Start(t.Context(), postgres.Config{}); err == nil {
		t.Error("a durable cluster started without a directory")
	}
}
