// Package postgres opens the database, brings its schema and the rights of its
// roles up to date, and keeps the checkpoints of projections and reactors and the
// leases by which one process at a time works on something.
//
// One database has one history (migrations/), and schemas separate what it holds:
// app and vault are systems of record of their own; readmodel, with the versions
// readmodel_next and readmodel_previous, is derived from the events and may be
// dropped and built again; analytics are SQL views over it.
package postgres
