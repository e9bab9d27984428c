// Package email tells people by mail what their account's events ask for: the
// activation link, the reset link, the notice that a password was changed, and
// that somebody tried to register an address that has an account already.
//
// What it promises:
//
//   - A Reactor turns each event that asks for a mail into one job, in the
//     transaction of its checkpoint: an event is never lost and never mailed
//     twice because it was delivered twice.
//   - A job holds ids and times only. The address, the names and the token are
//     looked up when the mail is made, and are in no table, error or log line.
//   - A mail goes out only while it is true: not after its link was used,
//     superseded or has expired, nor to an erased person. What is not sent is
//     recorded as skipped, with the reason.
//   - The relay's "not now" and a broken conversation are tried again, with
//     growing pauses, until the mail has become untrue; its "never" is recorded
//     as failed.
//   - Every try of a mail has the same Message-ID. Between the relay's answer and
//     our note of it lies a gap that SMTP cannot close: a crash just there sends
//     the same message again.
package email
