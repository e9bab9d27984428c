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
var ErrCannotInstall = errors.New("no Postgres server of version 14 or newer is installed, and none can be installed from here")

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

// Install says on out that there is no server, runs InstallCommand, and writes what it
// runs, and what that prints, to out. It asks nothing: without root or passwordless sudo
// it returns ErrCannotInstall, in one sentence with the command that the user may run.
func Install(ctx context.Context, out io.Writer) error { return install(ctx, out, os.Getuid()) }

func install(ctx context.Context, out io.Writer, uid int) error {
	steps := installCommand(uid)
	if len(steps) == 0 {
		return fmt.Errorf("%w: install one (such as by apt-get install postgresql, or brew install postgresql@17) or set DAYBOOK_DATABASE_URL", ErrCannotInstall)
	}
	if steps[0][0] == "sudo" && exec.CommandContext(ctx, "sudo", "-n", "true").Run() != nil {
		return fmt.Errorf("%w: run as root: %s; or set DAYBOOK_DATABASE_URL", ErrCannotInstall, asRoot(steps))
	}
	if _, err := fmt.Fprintln(out, "No Postgres server of version 14 or newer is installed. Installing one:"); err != nil {
		return fmt.Errorf("announce the installation: %w", err)
	}
	for _, step := range steps {
		if err := runStep(ctx, out, step); err != nil {
			return err
		}
	}
	return nil
}

// asRoot is what root types for steps that withSudo made.
func asRoot(steps [][]string) string {
	lines := make([]string, len(steps))
	for i, step := range steps {
		lines[i] = strings.Join(step[2:], " ")
	}
	return strings.Join(lines, " && ")
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
