package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"daybook/api"
	"daybook/domain"
	"daybook/internal/audit"
	"daybook/internal/objectstore"
	"daybook/internal/telemetry"
	"daybook/internal/thumbnail"
	"daybook/projections"
	"daybook/workers/email"
)

// handler wires the API.
func (a *App) handler(auditor *audit.Reader) (http.Handler, error) {
	s := a.settings
	proxies, err := s.proxies()
	if err != nil {
		return nil, err
	}
	series, err := loadSeries(s.SeriesFile)
	if err != nil {
		return nil, err
	}
	notices, err := email.NewNotices(a.parts.pool, a.logger)
	if err != nil {
		return nil, err
	}
	server := &api.Server{
		Commands:    a.parts.commands(s, notices, a.logger),
		Sessions:    a.parts.sessions,
		Accounts:    &projections.Queries{Pool: a.parts.pool, Changes: a.changes},
		Idempotency: a.parts.idempotency(),
		Thumbnails:  thumbnail.New(thumbnail.Config{}),
		Throttles:   a.parts.throttles(a.logger),
		Media:       a.media,
		History:     a.parts.repository.History,
		Export:      a.exporter(),
		Mailbox:     a.backends.mailbox(),
		Audit:       &api.Audit{Tokens: a.parts.apiTokens(), Reader: auditor},
		Telemetry:   &telemetry.Requests{Metrics: a.observer.metrics, Tracing: a.observer.tracing},
		Ready:       a.ready,
		Series:      series,
		Config: api.Config{
			PublicURL: s.PublicURL, FrontendURL: s.FrontendURL, MediaURL: s.MediaURL, TrustedOrigins: s.TrustedOrigins,
			TrustedProxies: proxies, Contract: s.Contract, SessionLifetime: s.SessionLifetime,
			Limits: s.limits(), SecurityContacts: s.Contacts,
		},
		Logger: a.logger,
	}
	if err := server.Config.Validate(); err != nil {
		return nil, err
	}
	return server.Handler(), nil
}

func loadSeries(path string) ([]api.Series, error) {
	if path == "" {
		return nil, nil
	}
	series, err := api.ReadSeries(path)
	if err != nil {
		return nil, fmt.Errorf("DAYBOOK_SERIES_FILE: %w", err)
	}
	return series, nil
}

var errNoThumbnail = domain.Refuse(domain.KindNotFound, "no_such_thumbnail", "There is no such picture")

func (a *App) media(ctx context.Context, key string) (body []byte, contentType string, err error) {
	body, contentType, err = a.parts.objects.Get(ctx, key)
	if errors.Is(err, objectstore.ErrNotFound) {
		err = errNoThumbnail
	}
	return body, contentType, err
}
