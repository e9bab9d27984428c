// Package node is an event store that speaks EventStoreDB's gRPC protocol, to be
// embedded in a process or run alone.
//
// It promises to any EventStoreDB client:
//
//   - An append is atomic, and acknowledged only when it is on disk and readable.
//     An event that was read can't be lost in a crash.
//   - Revisions of a stream and positions of the log have no gaps and are never used
//     twice. Positions start at 1, with the event of $users that clients look for.
//   - An append repeated with the same ids at the same explicit revision is
//     acknowledged again and written once, however much time or how many restarts lie
//     between. With Any and StreamExists this holds for the most recent events only.
//   - A persistent subscription delivers each event at least once, to one of its
//     consumers; what is settled is remembered by checkpoints.
//   - A subscription delivers each event once and in order, also over the switch from
//     history to live events. A slow subscriber lags; it is never dropped for it.
//
// The outside facts (which answers, which trailers, which limits) are those of
// EventStoreDB 23.10 and 24.10 and of its public clients. Where those two differ the
// comment at the place says which was followed. Not offered: clusters, projections,
// users and scavenging; calls for them answer UNIMPLEMENTED. Access lists are kept with a
// stream's other metadata and decide nothing: whoever is let in is an administrator, as
// everybody is on a server without security, and the one user on one with it.
//
// While it serves, Backup, or BackupRunning from another process, copies what was
// acknowledged.
//
// How it works: one goroutine (writer.go) takes what waits in its queue as one group,
// decides each request against the state and the group so far (decide.go, draft.go),
// commits the group with one sync, publishes its last position and then answers. On disk
// a commit is one frame (frame.go) in one of two log files (segment.go); from there events
// are moved, thousands at a time, into a bbolt file (move.go), which after Close is the
// whole store. What a crash leaves in the log is moved when the store is opened again
// (replay.go). Readers (view.go) see log and file as one (layers.go), up to the published
// position. Everything else, the last revision, soft deletion, truncation, is derived from
// the events themselves, so no second truth can disagree with the log. Groups of
// persistent subscriptions (persistent_*.go) are clients of all this: their
// configuration, checkpoints and parked events are ordinary streams.
package node
