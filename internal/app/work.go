package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"daybook/domain"
	"daybook/internal/messaging"
	"daybook/internal/pause"
	"daybook/internal/postgres"
	"daybook/projections"
	"daybook/workers/email"
)

// roleWork lists what the roles run until the context ends.
func (a *App) roleWork() ([]func(context.Context) error, error) {
	var work []func(context.Context) error
	if a.roles.Projector {
		for _, view := range views() {
			work = append(work, a.project(view), a.projectPrevious(view))
		}
	}
	if a.roles.Email {
		mail, err := a.mail()
		if err != nil {
			return nil, err
		}
		work = append(work, mail...)
	}
	if a.roles.Relay {
		publish, err := a.relay()
		if err != nil {
			return nil, err
		}
		work = append(work, publish)
	}
	if a.roles.Housekeeper {
		work = append(work, a.housekeeper().Run)
	}
	if a.roles.API {
		serve, err := a.api()
		if err != nil {
			return nil, err
		}
		work = append(work, serve...)
	}
	return work, nil
}

// api lists what answers requests: the server, and what wakes those that wait.
func (a *App) api() ([]func(context.Context) error, error) {
	auditor, err := a.parts.auditor(a.logger)
	if err != nil {
		return nil, err
	}
	handler, err := a.handler(auditor)
	if err != nil {
		return nil, err
	}
	serve := func(ctx context.Context) error { return serveHTTP(ctx, a.listener, handler, a.logger) }
	return []func(context.Context) error{a.changes.Run, auditor.Run, a.forgetThrottles, serve}, nil
}

// project feeds one view from batches.
func (a *App) project(view projections.View) func(context.Context) error {
	projector := &projections.Projector{Pool: a.parts.pool, Vault: a.parts.vault, View: view, Logger: a.logger}
	return a.consume(consumer{
		name: projector.CheckpointName(), batch: true, start: projector.Start, handle: projector.Handle, prepare: projector.Prepare,
	})
}

// versionsEvery is how soon a previous version is noticed.
const versionsEvery = time.Second

// projectPrevious keeps the version of a view from before a switch up to date while
// there is one, so that going back to it takes no time. It is neither shown nor
// waited for, so nothing depends on how it fares.
func (a *App) projectPrevious(view projections.View) func(context.Context) error {
	projector := &projections.Projector{Pool: a.parts.pool, Vault: a.parts.vault, View: view, Logger: a.logger, Version: projections.Previous}
	follow := a.consume(consumer{
		name: projector.CheckpointName(), batch: true, beside: true, start: projector.Start, handle: projector.Handle, prepare: projector.Prepare,
	})
	return func(ctx context.Context) error {
		for ctx.Err() == nil {
			there, err := postgres.HasCheckpoint(ctx, a.parts.pool, projector.CheckpointName())
			if err == nil && there {
				err = follow(ctx) // until it is dropped
			}
			if err != nil && !errors.Is(err, postgres.ErrNoCheckpoint) && ctx.Err() == nil {
				a.logger.WarnContext(ctx, "previous versions are not found", slog.Any("error", err))
			}
			pause.For(ctx, versionsEvery)
		}
		return nil
	}
}

// mail lists what sends mail: the reactor that makes jobs of events, and the
// workers that send them.
func (a *App) mail() ([]func(context.Context) error, error) {
	reactor, err := email.NewReactor(a.parts.pool, a.logger)
	if err != nil {
		return nil, err
	}
	if a.settings.NewDeviceMail {
		reactor.Devices = &email.Devices{Vault: a.parts.vault, Key: a.parts.idKey}
	}
	a.mailer, err = email.New(email.Config{
		PublicURL: a.settings.PublicURL, MailFrom: a.settings.MailFrom, SMTPURL: a.parts.smtpURL, Logger: a.logger,
		Observe: a.observer.sending, Access: a.parts.repository.Access, Claim: a.parts.repository.ClaimAt,
	}, a.parts.pool, a.parts.repository.Account, a.parts.tokens)
	if err != nil {
		return nil, err
	}
	react := a.consume(consumer{name: email.CheckpointName, batch: true, start: reactor.Start, handle: reactor.Handle})
	return []func(context.Context) error{react, a.mailer.Run}, nil
}

// consumer is a Watermill handler of the events of all own streams, with a
// checkpoint of its own.
type consumer struct {
	name   string
	batch  bool
	beside bool // not among those whose health counts
	start  func(ctx context.Context) (after uint64, err error)
	handle message.NoPublishHandlerFunc
	// prepare, when set, does with a batch beforehand what needs no transaction.
	prepare func(ctx context.Context, events []domain.Stored)
}

// maxNackBackoff is the longest pause before a backend that was away is tried again.
const maxNackBackoff = 5 * time.Second

// consume runs the consumer in whichever process holds its lease; the others
// stand by. An owner that lost its checkpoint to another begins anew.
func (a *App) consume(c consumer) func(context.Context) error {
	w := &watched{name: c.name, observer: a.observer}
	if !c.beside {
		a.consumers = append(a.consumers, w)
	}
	return func(ctx context.Context) error {
		for ctx.Err() == nil {
			err := postgres.Lease(ctx, a.parts.pool, c.name, func(ctx context.Context) error { return a.own(ctx, c, w) })
			if errors.Is(err, postgres.ErrNoCheckpoint) {
				return err
			}
			if err != nil && ctx.Err() == nil {
				w.interrupted()
				a.logger.WarnContext(ctx, "consumer was interrupted", slog.String("consumer", c.name), slog.Any("error", err))
				pause.For(ctx, time.Second)
			}
		}
		return nil
	}
}

// own runs the consumer through a router of its own until the context ends or
// the checkpoint belongs to somebody else.
func (a *App) own(ctx context.Context, c consumer, w *watched) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	logger := a.logger.With(slog.String("consumer", c.name))
	subscriber, err := messaging.NewSubscriber(a.parts.client, messaging.SubscriberConfig{
		Batch: c.batch, Logger: logger, DrainTimeout: drainTimeout, MaxNackBackoff: maxNackBackoff, Prepare: c.prepare,
		Start: func(ctx context.Context, _ string) (after uint64, found bool, err error) {
			if after, err = c.start(ctx); errors.Is(err, postgres.ErrNoCheckpoint) {
				cancel(err)
			}
			return after, after > 0, err
		},
	})
	if err != nil {
		return err
	}
	defer func() { _ = subscriber.Close() }()
	defer w.own(subscriber)()
	handle := w.handler(c.handle)
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: 2 * drainTimeout}, watermill.NewSlogLogger(quiet(logger)))
	if err != nil {
		return err
	}
	router.AddConsumerHandler(c.name, messaging.All, subscriber, func(msg *message.Message) error {
		err := handle(msg)
		if errors.Is(err, postgres.ErrNotOwner) {
			cancel(err)
		}
		return err
	})
	if err := router.Run(ctx); err != nil {
		return fmt.Errorf("run %s: %w", c.name, err)
	}
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}
