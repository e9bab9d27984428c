// Package email tells people by mail what their account's events ask for: the
// activation link, the reset link, the link to a new address, the notices that a
// password or an address was changed or is to be, that somebody wanted an address
// that has an account already, and that somebody signed in from a new device.
//
// What it promises:
//
//   - A Reactor turns each event that asks for mail into one job for each mail, in
//     the transaction of its checkpoint: an event is never lost and never mailed
//     twice because it was delivered twice.
//   - What tells of a change goes to the address that the account had before it: a
//     change of address does not take the notice along.
//   - A sign-in from a device that is new to the account is noticed by the
//     reactor, not by the sign-in, whose time it cannot change. The account's first
//     device is none, and an account gets one such mail an hour at most, which then
//     tells of all that were new.
//   - A job holds ids and times only. The address, the names and the token are
//     looked up when the mail is made, and are in no table, error or log line.
//   - A mail goes out only while it is true: not after its link was used,
//     superseded or has expired, nor to an erased person, but for the one that
//     says so. What is not sent is recorded as skipped, with the reason.
//   - The relay's "not now" and a broken conversation are tried again, with
//     growing pauses, until the mail has become untrue; its "never" is recorded
//     as failed.
//   - Every try of a mail has the same Message-ID. Between the relay's answer and
//     our note of it lies a gap that SMTP cannot close: a crash just there sends
//     the same message again.
package email
