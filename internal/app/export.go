package app

import (
	"context"

	"github.com/google/uuid"

	takeout "daybook/internal/export"
	"daybook/workers/email"
)

func (a *App) exporter() *takeout.Exporter {
	p := a.parts
	return &takeout.Exporter{
		Client: p.replays, Vault: p.vault, Account: p.repository.Account, Sessions: p.sessions, Picture: a.media,
		Mails: func(ctx context.Context, account uuid.UUID) ([]takeout.Mail, error) {
			known, err := email.KnownOf(ctx, p.pool, account)
			mails := make([]takeout.Mail, len(known))
			for i, k := range known {
				mails[i] = takeout.Mail{Kind: k.Mail, EventID: k.Event, QueuedAt: k.QueuedAt.UTC(), EndedAt: k.EndedAt, Outcome: k.Outcome}
			}
			return mails, err
		},
		Devices: func(ctx context.Context, account uuid.UUID) ([]takeout.Device, error) {
			seen, err := email.DevicesOf(ctx, p.pool, account)
			devices := make([]takeout.Device, len(seen))
			for i, d := range seen {
				devices[i] = takeout.Device{FirstSeenAt: d.First.UTC(), LastSeenAt: d.Last.UTC()}
			}
			return devices, err
		},
	}
}
