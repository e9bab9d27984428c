// Package commands is the write side: one file per command, and execute.go,
// through which each of them goes: load, decide, append at the revision that
// was folded, answer with the folded state.
//
// It promises that an acknowledged command is durable and an unacknowledged one
// is safe to repeat: event ids derive from the command id, every decision is
// appended at an exact revision, and after a conflict the stream is searched
// for the command's own events before anything is decided again.
//
// No command reads a projection. What the commands need from the outside is
// declared here as small ports (ports.go) and filled in by internal/app.
package commands
