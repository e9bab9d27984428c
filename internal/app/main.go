package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/alecthomas/kong"

	"daybook/internal/embedded/postgres"
)

// commandLine is the table of subcommands. Settings are flags of each.
type commandLine struct {
	Settings

	Serve       serveCommand       `cmd:"" default:"1" help:"Everything in one process, with a stand-in for each backend that is not configured."`
	API         apiCommand         `cmd:"" help:"The HTTP API alone."`
	Projector   projectorCommand   `cmd:"" help:"The projectors alone; a second process stands by."`
	Worker      workerCommand      `cmd:"" help:"One worker alone."`
	Projection  projectionCommand  `cmd:"" help:"Accounts that a view cannot show."`
	Rebuild     rebuildCommand     `cmd:"" help:"Build a view anew beside the one that is shown, compare and switch, while everything works on."`
	Migrate     migrateCommand     `cmd:"" help:"Bring the database up to date and make missing checkpoints."`
	Audit       auditCommand       `cmd:"" help:"Read the audit trail."`
	Account     accountCommand     `cmd:"" help:"Accounts of people."`
	Token       tokenCommand       `cmd:"" help:"Tokens of machines."`
	Keys        keysCommand        `cmd:"" help:"The keys of a deployment."`
	EventStore  eventStoreCommand  `cmd:"" name:"eventstore" help:"The embedded event store alone, and its files."`
	Config      configCommand      `cmd:"" help:"Print the effective settings, secrets redacted."`
	Healthcheck healthcheckCommand `cmd:"" help:"Ask a running service whether it is well."`
	Version     versionCommand     `cmd:"" help:"Print the version."`

	InstallPostgres installPostgresCommand `cmd:"" help:"Install PostgreSQL's server where there is none."`
}

// invocation is what a subcommand runs with.
type invocation struct {
	ctx      context.Context
	settings *Settings
	out      io.Writer
	notes    io.Writer // for the person at the terminal, besides what was asked for
	logger   *slog.Logger
}

// Main runs the subcommand that the arguments name.
func Main(ctx context.Context, args []string, out, logs io.Writer) error {
	if err := LoadSecretFiles(); err != nil {
		return err
	}
	var line commandLine
	exited := -1
	parser, err := kong.New(&line, kong.Name("daybook"), kong.Description("A self-hosted, event-sourced account service."),
		kong.Writers(out, logs), kong.Exit(func(code int) { exited = code }), kong.ShortUsageOnError())
	if err != nil {
		return err
	}
	parsed, err := parser.Parse(asFlag(args))
	if exited >= 0 { // help was printed
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w; see daybook --help", err)
	}
	line.KeyFiles = keyFiles()
	logger := slog.New(slog.NewJSONHandler(logs, &slog.HandlerOptions{Level: line.logLevel()}))
	return asSentence(parsed.Run(&invocation{ctx, &line.Settings, out, logs, logger}))
}

// asFlag makes a flag of the word help, which many type instead.
func asFlag(args []string) []string {
	if len(args) == 0 || args[0] != "help" {
		return args
	}
	return append(slices.Clone(args[1:]), "--help")
}

type serveCommand struct{}

// Run installs Postgres first where there is none and the system allows it.
func (serveCommand) Run(i *invocation) error {
	settings := *i.settings // what is derived is derived when the port is known
	if err := settings.Check(); err != nil {
		return err // before anything is installed
	}
	if i.settings.DatabaseURL == "" {
		if err := (installPostgresCommand{}).Run(i); err != nil {
			return err
		}
	}
	return i.run(Everything)
}

type installPostgresCommand struct{}

func (installPostgresCommand) Run(i *invocation) error {
	if _, err := postgres.Find(); err == nil {
		return nil
	}
	return postgres.Install(i.ctx, i.out)
}

func (i *invocation) run(roles Roles) error {
	a, err := Open(i.ctx, *i.settings, roles, i.logger)
	if err != nil {
		return err
	}
	if roles.API {
		a.Describe(i.out)
	}
	return a.Run(i.ctx)
}

type apiCommand struct{}

func (apiCommand) Run(i *invocation) error { return i.run(Roles{API: true}) }

type projectorCommand struct{}

func (projectorCommand) Run(i *invocation) error { return i.run(Roles{Projector: true}) }

type workerCommand struct {
	Name string `arg:"" enum:"email,housekeeping,relay" default:"email" help:"Which worker: email, housekeeping or relay."`
}

func (c workerCommand) Run(i *invocation) error {
	if c.Name == "relay" && i.settings.KafkaURL == "" {
		return errNoKafka
	}
	return i.run(Roles{Email: c.Name == "email", Housekeeper: c.Name == "housekeeping", Relay: c.Name == "relay"})
}

type migrateCommand struct {
	AfterCopy bool `help:"The event store is a copy of the one the database belongs to: build the views anew, and let reactors begin at its end. All other processes must be stopped."`
}

// Run does nothing where nothing is missing.
func (c migrateCommand) Run(i *invocation) error {
	if c.AfterCopy {
		if err := i.withBoundRecords(followCopy, func(context.Context, *operator) error { return nil }); err != nil {
			return err
		}
	}
	a, err := Open(i.ctx, *i.settings, Roles{Migrate: true}, i.logger)
	if err != nil {
		return err
	}
	return a.close(i.ctx)
}

type configCommand struct{}

// Run prints the settings with what follows from others, and then what is wrong.
func (configCommand) Run(i *invocation) error {
	wrong := i.settings.Check()
	shown := i.settings.Redacted()
	for _, row := range SettingsTable() {
		fmt.Fprintf(i.out, "%s=%s\n", row.Name, shown[row.Name])
	}
	return wrong
}

type healthcheckCommand struct {
	Listener string `arg:"" enum:"api,metrics" default:"api" help:"Which listener to ask: api, or metrics, of a process without the API."`
}

// Run asks /readyz on the service's own address.
func (c healthcheckCommand) Run(i *invocation) error {
	addr, setting := i.settings.HTTPAddr, "DAYBOOK_HTTP_ADDR"
	if c.Listener == "metrics" {
		addr, setting = i.settings.MetricsAddr, "DAYBOOK_METRICS_ADDR"
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%s: %w", setting, err)
	}
	if host == "" || net.ParseIP(host).IsUnspecified() {
		host = "127.0.0.1"
	}
	client := &http.Client{Timeout: 5 * time.Second}
	request, err := http.NewRequestWithContext(i.ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("the service does not answer: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the service is not ready: status %d", response.StatusCode)
	}
	return nil
}

type versionCommand struct {
	SBOM bool `name:"sbom" help:"Print the modules of this binary instead, as a CycloneDX bill of materials."`
}

// Run prints one of the two.
func (c versionCommand) Run(i *invocation) error {
	if c.SBOM {
		return writeBill(i.out)
	}
	_, err := fmt.Fprintln(i.out, Version())
	return err
}
