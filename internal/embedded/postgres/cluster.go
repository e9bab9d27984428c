package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"sync"
	"syscall"
)

// Cluster is a running server. All methods may be used at the same time.
type Cluster struct {
	server    *process
	socket    string
	temporary string // removed with the cluster; empty for a lasting one
	held      *lock
	logger    *slog.Logger

	stop     sync.Once
	stopping chan struct{} // closed by Stop
	cleanup  sync.Once
	cleaned  error
}

// DSN returns the connection string of a database for the role postgres. It
// names every setting that the environment (PGPORT, PGSSLMODE) could change.
func (c *Cluster) DSN(database string) string {
	query := url.Values{"host": {c.socket}, "port": {"5432"}, "sslmode": {"disable"}}
	dsn := url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/" + database, RawQuery: query.Encode()}
	return dsn.String()
}

// SocketDir returns the directory of the unix socket, as for psql -h. It is
// private to the server's user; root may enter too.
func (c *Cluster) SocketDir() string { return c.socket }

// Done is closed when the server has ended, by Stop or by itself; Err tells.
func (c *Cluster) Done() <-chan struct{} { return c.server.done }

// Err returns nil while the server runs and after a Stop, and the reason when it
// has ended by itself.
func (c *Cluster) Err() error {
	select {
	case <-c.server.done:
	default:
		return nil
	}
	select {
	case <-c.stopping:
		return nil
	default:
		return fmt.Errorf("the Postgres server ended by itself: %w", c.endReason())
	}
}

func (c *Cluster) endReason() error {
	if c.server.err != nil {
		return c.server.err
	}
	return fmt.Errorf("%s", c.server.cmd.ProcessState)
}

func (c *Cluster) watch() {
	<-c.server.done
	if err := c.Err(); err != nil {
		c.logger.Error("postgres ended by itself", "error", err)
	}
}

// Stop ends all sessions (a fast shutdown), waits until the server has ended and
// releases the data directory. When ctx ends first the server is aborted, which
// loses nothing: it recovers at the next start. Stop may be called repeatedly.
func (c *Cluster) Stop(ctx context.Context) error {
	c.stop.Do(func() {
		select {
		case <-c.server.done: // by itself: Err shall still tell
		default:
			close(c.stopping)
			c.server.signal(syscall.SIGINT)
		}
	})
	var aborted error
	select {
	case <-c.server.done:
	case <-ctx.Done():
		c.server.signal(syscall.SIGQUIT)
		<-c.server.done // the server kills what does not end within 5 s
		aborted = fmt.Errorf("stop postgres: %w", ctx.Err())
	}
	c.cleanup.Do(c.release)
	if aborted != nil {
		return aborted
	}
	return c.cleaned
}

func (c *Cluster) release() {
	removeSocketDirectory(c.socket)
	if c.temporary != "" {
		if err := os.RemoveAll(c.temporary); err != nil {
			c.cleaned = fmt.Errorf("remove the temporary cluster: %w", err)
		}
	}
	c.held.release()
}
