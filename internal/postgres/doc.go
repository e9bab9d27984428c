// Package postgres opens the database, brings its schema up to date and keeps
// the checkpoints of projections and reactors.
//
// One database has one history (migrations/), three schemas separate what it
// holds: app and vault are systems of record of their own, readmodel is derived
// from the events and may be dropped and built again.
package postgres
