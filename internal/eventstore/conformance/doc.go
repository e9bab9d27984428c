// Package conformance says in tests what Daybook needs of an event store.
//
// It promises that a server passing Test behaves, in everything Daybook relies on, like
// any other that does: the embedded node in memory, the one on disk, and a real
// EventStoreDB. All tests go through the official client, use streams of their own and
// leave the rest of the store alone, so that they can run against a server in use; one
// restarts the subsystem of persistent subscriptions, which others reconnect to.
package conformance
