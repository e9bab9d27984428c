package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// superuser is the cluster's only role at first. The socket's directory lets no
// other user in, so it needs no password.
const superuser = "postgres"

const (
	// readyPatience includes recovery after a crash.
	readyPatience = 60 * time.Second
	// orphanPatience is how long the sessions of a killed server may take to end.
	orphanPatience = 10 * time.Second
)

// Start creates the cluster if there is none, starts it and returns when it
// answers. ctx bounds the start only; the cluster runs until Stop or until this
// process ends.
//
// Errors: ErrNotInstalled; ErrInUse; a sentence for a cluster of another major
// version, a directory that holds something else, one that the server's user
// cannot reach, and a user without a name; else what Postgres printed.
func Start(ctx context.Context, config Config) (*Cluster, error) {
	if config.DataDir != "" || !config.Unsafe {
		return start(ctx, config)
	}
	directory, err := makeTemporary()
	if err != nil {
		return nil, err
	}
	config.DataDir = filepath.Join(directory, temporaryData)
	cluster, err := start(ctx, config)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(directory))
	}
	cluster.temporary = directory
	return cluster, nil
}

func start(ctx context.Context, config Config) (*Cluster, error) {
	config, err := config.complete()
	if err != nil {
		return nil, err
	}
	held, err := acquireLock(config.DataDir)
	if err != nil {
		return nil, err
	}
	cluster, err := startLocked(ctx, config, held)
	if err != nil {
		held.release()
		return nil, err
	}
	return cluster, nil
}

func startLocked(ctx context.Context, config Config, held *lock) (*Cluster, error) {
	as, err := serverAccount(os.Getuid(), os.Getgid(), config.DataDir)
	if err != nil {
		return nil, err
	}
	if config, err = prepare(ctx, config, as); err != nil {
		return nil, err
	}
	if err := held.removeFormerSocket(); err != nil {
		return nil, err
	}
	socket, err := makeSocketDirectory(as)
	if err != nil {
		return nil, err
	}
	if err := held.recordSocket(socket); err != nil {
		removeSocketDirectory(socket)
		return nil, err
	}
	cluster := &Cluster{socket: socket, held: held, logger: config.Logger, stopping: make(chan struct{})}
	if err := cluster.launchUntilOrphansEnd(ctx, config, as); err != nil {
		removeSocketDirectory(socket)
		return nil, err
	}
	go cluster.watch()
	return cluster, nil
}

// prepare leads to a whole cluster of the right version that no server uses.
func prepare(ctx context.Context, config Config, as account) (Config, error) {
	if err := as.reaches(config.DataDir); err != nil {
		return config, err
	}
	major, err := clusterMajor(config.DataDir)
	if err != nil {
		return config, err
	}
	if config.Binaries, err = chooseBinaries(config.Binaries, major, config.DataDir); err != nil {
		return config, err
	}
	if err := as.reaches(config.Binaries.Postgres); err != nil {
		return config, err
	}
	if err := removeUnfinished(config.DataDir); err != nil {
		config.Logger.Warn("unfinished cluster not removed", "error", err)
	}
	if major == 0 {
		return config, createCluster(ctx, config, as)
	}
	return config, awaitFormer(ctx, config.DataDir)
}

// launchUntilOrphansEnd starts the server, again if sessions of a killed server
// still hold its shared memory: they end by themselves when they notice.
func (c *Cluster) launchUntilOrphansEnd(ctx context.Context, config Config, as account) error {
	deadline := time.Now().Add(orphanPatience)
	ticker := time.NewTicker(10 * pollInterval)
	defer ticker.Stop()
	for {
		said, err := c.launch(ctx, config, as)
		if err == nil || ctx.Err() != nil || time.Now().After(deadline) ||
			!strings.Contains(said.String(), "pre-existing shared memory block") {
			return err
		}
		<-ticker.C
	}
}

func (c *Cluster) launch(ctx context.Context, config Config, as account) (*output, error) {
	said := &output{logger: config.Logger}
	// It outlives the start; Stop and the kernel end it.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), config.Binaries.Postgres, serverArguments(config, c.socket)...)
	cmd.Dir, cmd.Stderr, cmd.Stdout = config.DataDir, said, said
	server, err := startProcess(cmd, as, syscall.SIGINT)
	if err != nil {
		return said, fmt.Errorf("start postgres: %w", err)
	}
	c.server = server
	if err := c.awaitReady(ctx); err != nil {
		server.signal(syscall.SIGQUIT)
		<-server.done
		return said, fmt.Errorf("start postgres: %w: %s", err, said)
	}
	return said, nil
}

// serverArguments keeps errors of clients out of the server's log: their messages
// quote values. What the server itself has to say is of level LOG and above.
func serverArguments(config Config, socket string) []string {
	settings := []string{
		"listen_addresses=", "unix_socket_directories=" + socket, "unix_socket_permissions=0700", "port=5432",
		"max_connections=200", "log_min_messages=log", "log_min_error_statement=panic", "log_checkpoints=off",
		"log_timezone=UTC", "timezone=UTC",
	}
	if config.Unsafe {
		settings = append(settings, "fsync=off", "synchronous_commit=off", "full_page_writes=off")
	}
	arguments := []string{"-D", config.DataDir}
	for _, setting := range settings {
		arguments = append(arguments, "-c", setting)
	}
	return arguments
}

// awaitReady returns when a query is answered, or the server has ended.
func (c *Cluster) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := c.ping(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-c.server.done:
			return fmt.Errorf("the server ended at once: %w", c.endReason())
		case <-ctx.Done():
			return fmt.Errorf("wait for the server: %w", errors.Join(ctx.Err(), err))
		case <-ticker.C:
		}
	}
}

func (c *Cluster) ping(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, c.DSN("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return conn.Ping(ctx)
}
