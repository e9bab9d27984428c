// Package housekeeping does what nobody waits for: it removes what is over, and
// drives to an end what was left half-way.
//
// What it promises:
//
//   - One process at a time keeps house; others stand by. Two at once, as after a
//     lost connection, would do no harm.
//   - Every task may be killed at any instant and run again. A run is bounded in
//     items and time; the next one goes on where it stopped.
//   - Nothing that is in use is removed: what decides is the account's stream, read
//     after the candidate was found. A view only tells where to look, and is not
//     believed while it is behind.
//   - What it changes in accounts it changes by commands, which decide anew.
package housekeeping
