package conformance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// nodeClient is what runs EventStoreDB's client for Node.js: the suites, and the exact
// versions and hashes of what they need.
//
//go:embed testdata/nodeclient
var nodeClient embed.FS

// Suites of the Node.js client.
var (
	nodeSuites         = []string{"append", "read", "remove", "subscribe", "persistent", "connect"}
	nodePasswordSuites = []string{"password"}
)

// nodePatience bounds one suite and the installation.
const nodePatience = time.Minute

// TestNodeClient runs the suites of EventStoreDB's client for Node.js, npm's
// @eventstore/db-client, against the server that the connection string names. Where
// there is no Node.js, or the package can't be had, it says so and is skipped.
func TestNodeClient(t *testing.T, url string) {
	t.Helper()
	runNodeSuites(t, url, nodeSuites)
}

// TestNodeClientPassword runs those about TLS and passwords. The connection string has
// the right password.
func TestNodeClientPassword(t *testing.T, url string) {
	t.Helper()
	runNodeSuites(t, url, nodePasswordSuites)
}

func runNodeSuites(t *testing.T, url string, suites []string) {
	t.Helper()
	if testing.Short() {
		t.Skip("the Node.js client is left out of short runs")
	}
	dir := installedNodeClient(t)
	for _, suite := range suites {
		t.Run(suite, func(t *testing.T) {
			output, err := nodeCommand(t, dir, "node", suite+".cjs", "NODECLIENT_URL="+url)
			if err != nil {
				t.Errorf("%v\n%s", err, output)
			}
		})
	}
}

// nodeCommand runs a command in the directory. The last argument is set in its environment.
func nodeCommand(t *testing.T, dir string, arguments ...string) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), nodePatience)
	defer cancel()
	last := len(arguments) - 1
	command := exec.CommandContext(ctx, arguments[0], arguments[1:last]...) //nolint:gosec // the caller's constants
	command.Dir, command.Env = dir, append(os.Environ(), arguments[last])
	command.WaitDelay = time.Second
	return command.CombinedOutput()
}

// installedNodeClient is a directory with the suites and the package. It is made once
// and kept in the user's cache, named by what is in it.
func installedNodeClient(t *testing.T) string {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("there is no %s, so EventStoreDB's client for Node.js is not tried", program)
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skipf("there is no place to keep the Node.js client in: %v", err)
	}
	suites, sum := nodeSources(t)
	dir := filepath.Join(cache, "daybook-test", fmt.Sprintf("nodeclient-%x", sum[:8]))
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	installNodeClient(t, suites, dir)
	return dir
}

// nodeSources are the files to run, and their hash.
func nodeSources(t *testing.T) (fs.FS, []byte) {
	t.Helper()
	suites, err := fs.Sub(nodeClient, "testdata/nodeclient")
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.New()
	err = fs.WalkDir(suites, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(suites, path)
		fmt.Fprintf(hash, "%s %d\n%s", path, len(content), content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return suites, hash.Sum(nil)
}

// unreachable is how npm says that the registry can't be reached.
var unreachable = regexp.MustCompile(`ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ERR_SOCKET_TIMEOUT`)

// installNodeClient makes the directory beside its place and moves it there when it is
// complete: another process may do the same at the same time.
func installNodeClient(t *testing.T, suites fs.FS, dir string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	unfinished, err := os.MkdirTemp(filepath.Dir(dir), "unfinished-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(unfinished)
	if err := os.CopyFS(unfinished, suites); err != nil {
		t.Fatal(err)
	}
	output, err := nodeCommand(t, unfinished, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "NO_UPDATE_NOTIFIER=1")
	if err != nil && (unreachable.Match(output) || errors.Is(err, exec.ErrWaitDelay)) {
		t.Skipf("npm can't reach its registry, so EventStoreDB's client for Node.js is not tried: %s", bytes.TrimSpace(output))
	}
	if err != nil {
		t.Fatalf("npm ci: %v\n%s", err, output)
	}
	if err := os.Rename(unfinished, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
}
