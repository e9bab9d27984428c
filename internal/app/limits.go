package app

import (
	"context"
	"log/slog"
	"time"

	"daybook/api"
	"daybook/internal/throttle"
)

func (p *parts) throttles(logger *slog.Logger) *throttle.Store {
	return &throttle.Store{Pool: p.pool, Key: p.idKey, Logger: logger}
}

// limits are those of the API, from the settings.
func (s *Settings) limits() api.Limits {
	rate := func(source, total int) api.Rate {
		return api.Rate{
			Source: throttle.Limit{Tries: source, Window: s.SignInWindow},
			Total:  throttle.Limit{Tries: total, Window: time.Minute},
		}
	}
	return api.Limits{
		SignIn: rate(s.SignInSourceTries, s.SignInTotalTries),
		Token:  rate(s.TokenSourceTries, s.TokenTotalTries),
		Mail:   rate(s.MailSourceTries, s.MailTotalTries),
		Upload: throttle.Limit{Tries: s.UploadTries, Window: time.Hour},
		Export: throttle.Limit{Tries: s.ExportTries, Window: time.Hour},
	}
}

// forgetThrottles removes counters of windows that are over.
func (a *App) forgetThrottles(ctx context.Context) error {
	return a.parts.throttles(a.logger).Run(ctx, max(time.Hour, a.settings.SignInWindow))
}
