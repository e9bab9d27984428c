// Package audit replays the event store for those who have to check what
// happened: everything, in commit order, from any point.
//
// It promises that
//   - what is delivered comes straight from the event store, so no projection
//     can hide anything;
//   - between two cursors there is no gap and no duplicate, whatever breaks: a
//     cursor is a store's id and a position in it, authenticated, and holds
//     across restarts and for every process with the same keys;
//   - every use is recorded in the `daybook-store` stream before its first event
//     is delivered; what cannot be recorded is not delivered;
//   - personal fields stay sealed unless the reader may see them; then each says
//     whether it is "erased", "lost" (no key: an alarm) or "damaged" (the box
//     does not open in its place: an alarm too), and reading goes on;
//   - a slow reader costs no memory beyond the buffer of its subscription, and
//     the number of readers at a time is bounded.
package audit
