package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"daybook/domain"
)

// operator is what subcommands work with that need the records of a deployment,
// whether or not a service runs.
type operator struct {
	*parts
	started *backends // nil when others run them
}

// openOperator connects to what is configured, else to the stand-ins of the
// service that runs on the data directory, else starts those it needs. bind is
// bindDatabase, or what does its work.
func openOperator(ctx context.Context, s *Settings, bind binding, logger *slog.Logger) (_ *operator, err error) {
	o := &operator{parts: &parts{bind: bind}}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.close(context.WithoutCancel(ctx)))
		}
	}()
	reached := &backends{}
	if s.EventStoreURL == "" || s.DatabaseURL == "" || s.generatesKeys() {
		dir, err := openDataDir(s.DataDir)
		switch {
		case err == nil:
			if o.started, err = startRecords(ctx, s, dir, logger); err != nil {
				return nil, err
			}
			reached = o.started
		case !errors.Is(err, errInUse):
			return nil, err
		default:
			if reached, err = attach(s); err != nil {
				return nil, err
			}
		}
	}
	return o, o.openRecords(ctx, s, reached, o.started != nil, logger)
}

func (o *operator) close(ctx context.Context) error {
	o.parts.close()
	if o.started == nil {
		return nil
	}
	return o.started.stop(ctx)
}

// startRecords starts the stand-ins for what is kept for good.
func startRecords(ctx context.Context, s *Settings, dir *dataDir, logger *slog.Logger) (_ *backends, err error) {
	b := &backends{dir: dir, failed: make(chan error, 2)}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.stop(context.WithoutCancel(ctx)))
		}
	}()
	if err := mayEmbed(*s); err != nil {
		return nil, err
	}
	if b.keys, err = generatedKeys(dir.path); err != nil {
		return nil, err
	}
	var starting errgroup.Group
	if s.EventStoreURL == "" {
		starting.Go(func() error { return b.startNode(logger) })
	}
	if s.DatabaseURL == "" {
		starting.Go(func() error { return b.startCluster(ctx, logger) })
	}
	return b, starting.Wait()
}

// mayEmbed applies the production rules. Nothing listens here, so that a public
// URL that is not set stands for the machine itself.
func mayEmbed(s Settings) error {
	if s.PublicURL == "" {
		s.PublicURL = "http://localhost"
	}
	return s.Check()
}

// attach finds the stand-ins of the service that runs on the data directory, and
// puts the address of its database into the settings.
func attach(s *Settings) (*backends, error) {
	content, err := os.ReadFile(filepath.Join(s.DataDir, runFile))
	if err != nil {
		return nil, fmt.Errorf("DAYBOOK_DATA_DIR is in use by a service that is not ready yet; try again in a moment: %w", err)
	}
	var r running
	if err := json.Unmarshal(content, &r); err != nil {
		return nil, fmt.Errorf("read run.json: %w", err)
	}
	b := &backends{socket: r.EventStoreSocket}
	if b.keys, err = generatedKeys(s.DataDir); err != nil {
		return nil, err
	}
	if s.DatabaseURL == "" {
		s.DatabaseURL = r.DatabaseURL
	}
	if s.DatabaseURL == "" || s.EventStoreURL == "" && b.socket == "" {
		return nil, errors.New("the running service has backends of its own choice: set DAYBOOK_DATABASE_URL and DAYBOOK_EVENTSTORE_URL as it has them")
	}
	return b, nil
}

// actor of what an operator does at the machine itself.
const consoleActor = "console"

// record notes in the store's own stream what an operator does that belongs to no
// account's history.
func (o *operator) record(ctx context.Context, command string, event domain.Event) error {
	id := uuid.New()
	_, err := o.repository.Append(ctx, domain.Append{
		Stream: domain.StoreStream, Expected: domain.AnyRevision, Events: []domain.Event{event},
		Metadata: domain.Metadata{
			Command: command, CommandID: id, CorrelationID: id.String(), CausationID: id.String(),
			Actor: domain.SystemActor(consoleActor), OccurredAt: domain.Micro(time.Now()), Producer: producer(),
		},
	})
	if err != nil {
		return fmt.Errorf("record %s: %w", command, err)
	}
	return nil
}

// withRecords runs what a subcommand does and gives everything back.
func (i *invocation) withRecords(do func(ctx context.Context, o *operator) error) error {
	return i.withBoundRecords(bindDatabase, do)
}

func (i *invocation) withBoundRecords(bind binding, do func(ctx context.Context, o *operator) error) error {
	o, err := openOperator(i.ctx, i.settings, bind, i.logger)
	if err != nil {
		return err
	}
	return errors.Join(do(i.ctx, o), o.close(context.WithoutCancel(i.ctx)))
}
