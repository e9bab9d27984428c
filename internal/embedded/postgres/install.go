package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// ErrCannotInstall is returned when this machine has no package manager that we
// know, or the user may not use it without a password.
var ErrCannotInstall = errors.New("a Postgres server cannot be installed from here")

// manager is one package manager and the commands that install a server with it.
type manager struct {
	name  string
	root  bool // must run as root; Homebrew must not
	steps [][]string
}

var managers = []manager{
	{"apt-get", true, [][]string{{"apt-get", "update"}, {"apt-get", "install", "-y", "--no-install-recommends", "postgresql"}}},
	{"apk", true, [][]string{{"apk", "add", "--no-cache", "postgresql"}}},
	{"dnf", true, [][]string{{"dnf", "install", "-y", "postgresql-server"}}},
	{"brew", false, [][]string{{"brew", "install", "postgresql@17"}}},
}

// InstallCommand returns the commands, in order, that install a Postgres server
// on this machine, with sudo where it is needed. It is empty when no package
// manager that we know is on PATH.
func InstallCommand() [][]string { return installCommand(os.Getuid()) }

func installCommand(uid int) [][]string {
	for _, m := range managers {
		if _, err := exec.LookPath(m.name); err != nil || (uid == 0 && !m.root) {
			continue
		}
		if !m.root || uid == 0 {
			return m.steps
		}
		return withSudo(m.steps)
	}
	return nil
}

// withSudo uses -n, so that a missing right is an error and never a prompt.
func withSudo(steps [][]string) [][]string {
	elevated := make([][]string, len(steps))
	for i, step := range steps {
		elevated[i] = append([]string{"sudo", "-n"}, step...)
	}
	return elevated
}

// Install runs InstallCommand and writes what it runs, and what that prints, to
// out. It asks nothing: without root or passwordless sudo it returns
// ErrCannotInstall, wrapped with the command that the user may run.
func Install(ctx context.Context, out io.Writer) error {
	steps := InstallCommand()
	if len(steps) == 0 {
		return fmt.Errorf("%w: no known package manager (apt-get, apk, dnf, brew) was found", ErrCannotInstall)
	}
	if steps[0][0] == "sudo" && exec.CommandContext(ctx, "sudo", "-n", "true").Run() != nil {
		last := steps[len(steps)-1]
		return fmt.Errorf("%w: root is needed; run: sudo %s", ErrCannotInstall, strings.Join(last[2:], " "))
	}
	for _, step := range steps {
		if err := runStep(ctx, out, step); err != nil {
			return err
		}
	}
	return nil
}

func runStep(ctx context.Context, out io.Writer, step []string) error {
	line := strings.Join(step, " ")
	if _, err := fmt.Fprintln(out, "+ "+line); err != nil {
		return fmt.Errorf("announce %s: %w", line, err)
	}
	cmd := exec.CommandContext(ctx, step[0], step[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run %s: %w", line, err)
	}
	return nil
}
