// Package idempotency turns a client's Idempotency-Key into a command id: the
// same key is the same command, and the event store applies a command once.
//
// It keeps, for a day, a keyed fingerprint of the body, so that a key that comes
// with another body is refused. It keeps no body and no answer; answers are
// rebuilt from the fold. The table may be lost without harm to correctness.
package idempotency
