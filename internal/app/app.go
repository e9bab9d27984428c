package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"daybook/internal/postgres"
	"daybook/internal/telemetry"
	"daybook/projections"
	"daybook/workers/email"
	"daybook/workers/relay"
)

// Roles say which parts of the service a process runs.
type Roles struct {
	API, Projector, Email, Housekeeper bool
	// Relay is left out where no Kafka is configured.
	Relay bool
	// Migrate brings the schema up to date and makes missing checkpoints first.
	Migrate bool
}

// Everything is what daybook serve runs.
var Everything = Roles{API: true, Projector: true, Email: true, Housekeeper: true, Relay: true, Migrate: true}

// database is the database role that has what these parts need and nothing else. Who
// only migrates is the owner.
func (r Roles) database() string {
	worker := r.Email || r.Housekeeper || r.Relay
	switch {
	case r.Migrate && (r.API || r.Projector || worker):
		return postgres.RoleService // the secret of the ids is made, and what else migrate makes
	case r.API && !r.Projector && !worker:
		return postgres.RoleAPI
	case r.Projector && !r.API && !worker:
		return postgres.RoleProjector
	case worker && !r.API && !r.Projector:
		return postgres.RoleWorker
	case worker || r.API || r.Projector:
		return postgres.RoleService
	}
	return ""
}

// App is an opened service: connected, checked, listening. Run makes it work.
type App struct {
	settings *Settings
	roles    Roles
	logger   *slog.Logger
	listener net.Listener // nil without the API
	backends *backends
	parts    *parts
	changes  *projections.Changes
	work     []func(context.Context) error

	observer        *observer
	metricsListener net.Listener // nil for none
	consumers       []*watched   // those of this process
	mailer          *email.Mailer
	brokers         func(context.Context) error // asks Kafka; nil without the relay
	health          *health
}

// Open brings up everything that the roles need, or ends with one sentence and
// leaves nothing behind. The API's port is open, and answers once Run runs.
func Open(ctx context.Context, s Settings, roles Roles, logger *slog.Logger) (_ *App, err error) {
	logger = slog.New(telemetry.LogHandler(logger.Handler()))
	roles.Relay = roles.Relay && s.KafkaURL != ""
	a := &App{settings: &s, roles: roles, logger: logger}
	defer func() {
		if err != nil {
			err = asSentence(errors.Join(err, a.close(context.WithoutCancel(ctx))))
		}
	}()
	if roles.API {
		if err := a.listen(ctx); err != nil {
			return nil, err
		}
	}
	if err := s.Check(); err != nil {
		return nil, err
	}
	if err := a.listenMetrics(ctx); err != nil {
		return nil, err
	}
	if a.observer, err = newObserver(ctx, logger); err != nil {
		return nil, err
	}
	if a.backends, err = startBackends(ctx, &s, logger); err != nil {
		return nil, err
	}
	if a.parts, err = connect(ctx, &s, a.backends, roles, a.observer, logger); err != nil {
		return nil, err
	}
	if roles.Migrate {
		if err := a.parts.createCheckpoints(ctx, reactors(&s)); err != nil {
			return nil, err
		}
	}
	a.changes = &projections.Changes{Pool: a.parts.pool, Logger: logger}
	if a.work, err = a.roleWork(); err != nil {
		return nil, err
	}
	a.health = a.newHealth()
	a.measure()
	return a, a.announce()
}

func (a *App) listen(ctx context.Context) (err error) {
	var network net.ListenConfig
	if a.listener, err = network.Listen(ctx, "tcp", a.settings.HTTPAddr); err != nil {
		return fmt.Errorf("DAYBOOK_HTTP_ADDR: cannot listen on %s: %w", a.settings.HTTPAddr, err)
	}
	if a.settings.PublicURL == "" {
		_, port, err := net.SplitHostPort(a.listener.Addr().String())
		if err != nil {
			return err
		}
		a.settings.PublicURL = "http://localhost:" + port
	}
	return nil
}

// announce tells other subcommands how to reach the embedded backends.
func (a *App) announce() error {
	if a.backends.dir == nil {
		return nil
	}
	r := running{PID: os.Getpid(), EventStoreSocket: a.backends.socket}
	if a.listener != nil {
		r.HTTP = a.listener.Addr().String()
	}
	if a.backends.cluster != nil {
		r.DatabaseURL = a.backends.cluster.DSN("postgres")
	}
	if a.backends.objects != nil {
		r.S3URL = a.backends.objects.URL()
	}
	if a.backends.kafka != nil {
		r.KafkaURL = a.backends.kafka.URL()
	}
	r.SMTPURL = a.parts.smtpURL
	return a.backends.dir.announce(r)
}

// Addr is the address that the API listens on.
func (a *App) Addr() string { return a.listener.Addr().String() }

// URL is the public URL.
func (a *App) URL() string { return a.settings.PublicURL }

// Describe prints where everything is, for the person at the terminal.
func (a *App) Describe(out io.Writer) {
	fmt.Fprintf(out, "Daybook %s is ready at %s\n", Version(), a.settings.PublicURL)
	if a.backends.mail != nil {
		fmt.Fprintf(out, "  mail      %s/dev/mailbox/\n", a.settings.PublicURL)
	}
	if addr := a.MetricsAddr(); addr != "" {
		fmt.Fprintf(out, "  metrics   http://%s/metrics\n", addr)
	}
	if embedded := a.backends.embedded(); len(embedded) > 0 {
		fmt.Fprintf(out, "  embedded  %s; data in %s\n", strings.Join(embedded, ", "), a.backends.dir.path)
	}
	if a.backends.kafka != nil {
		fmt.Fprintf(out, "  kafka     %s, topic %s\n", strings.TrimPrefix(a.backends.kafka.URL(), "kafka://"), relay.Topic(a.settings.Namespace))
	}
	if a.backends.cluster != nil {
		fmt.Fprintf(out, "  psql      psql -h %s -U postgres\n", a.backends.cluster.SocketDir())
	}
	fmt.Fprintln(out, "  stop      Ctrl-C")
}

// Run works until the context ends or a part fails, then ends all parts and
// gives everything back. It returns nil after the context's end.
func (a *App) Run(ctx context.Context) error {
	work := append(a.work, a.watchBackends, a.parts.follower.Run)
	if a.metricsListener != nil {
		work = append(work, a.serveMetrics)
	}
	err := group(ctx, work...)
	return errors.Join(err, a.close(context.WithoutCancel(ctx)))
}

// watchBackends ends when a stand-in does.
func (a *App) watchBackends(ctx context.Context) error {
	select {
	case err := <-a.backends.failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

// group runs all parts until the first of them ends, then ends the others and
// waits for them.
func group(ctx context.Context, parts ...func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, len(parts))
	for _, run := range parts {
		go func() { ended <- run(ctx) }()
	}
	var errs []error
	for range parts {
		errs = append(errs, <-ended)
		cancel()
	}
	return errors.Join(errs...)
}

func (a *App) close(ctx context.Context) error {
	if a.listener != nil {
		_ = a.listener.Close() // closed already when the API ran
	}
	a.closeMetrics(ctx)
	if a.parts != nil {
		a.parts.close()
	}
	if a.backends == nil {
		return nil
	}
	return a.backends.stop(ctx)
}

const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 20 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 2 * time.Minute
	drainTimeout      = 1500 * time.Millisecond
	maxHeaderBytes    = 16 << 10
)

// serveHTTP serves until the context ends, then lets requests under way finish.
func serveHTTP(ctx context.Context, listener net.Listener, handler http.Handler, logger *slog.Logger) error {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := server.Shutdown(draining); err != nil {
		return server.Close()
	}
	return nil
}
