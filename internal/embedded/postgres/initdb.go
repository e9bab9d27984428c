package postgres

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// createCluster runs initdb in a sibling of dataDir and renames it when it is
// whole, so that a crash at any instant leaves no cluster or a whole one.
func createCluster(ctx context.Context, config Config, as account) error {
	unfinished, err := os.MkdirTemp(filepath.Dir(config.DataDir), filepath.Base(config.DataDir)+unfinishedPrefix)
	if err != nil {
		return fmt.Errorf("create a directory for the new cluster: %w", err)
	}
	defer os.RemoveAll(unfinished) // gone already when all went well
	if err := as.give(unfinished); err != nil {
		return err
	}
	if err := runInitdb(ctx, config, as, unfinished); err != nil {
		return err
	}
	return commit(unfinished, config.DataDir)
}

func runInitdb(ctx context.Context, config Config, as account, directory string) error {
	arguments := []string{
		"-D", directory, "-U", superuser, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-instructions",
	}
	if config.Unsafe {
		arguments = append(arguments, "--no-sync", "--wal-segsize=1")
	}
	said := &output{logger: config.Logger}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), config.Binaries.Initdb, arguments...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = directory, said, said
	child, err := startProcess(cmd, as, syscall.SIGKILL)
	if err != nil {
		return fmt.Errorf("start initdb: %w", err)
	}
	select {
	case <-child.done:
	case <-ctx.Done():
		child.killGroup()
		<-child.done
		return fmt.Errorf("create the cluster: %w", ctx.Err())
	}
	if child.err != nil {
		return fmt.Errorf("create the cluster: %w: %s", child.err, said)
	}
	return nil
}
