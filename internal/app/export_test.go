package app

import (
	"github.com/jackc/pgx/v5/pgxpool"

	"daybook/internal/eventstore"
)

// Pool is the database of an opened service.
func (a *App) Pool() *pgxpool.Pool { return a.parts.pool }

// Repository is the event store of an opened service.
func (a *App) Repository() *eventstore.Repository { return a.parts.repository }
