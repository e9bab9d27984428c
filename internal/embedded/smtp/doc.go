// Package smtp catches mail: an SMTP server on loopback that delivers nothing,
// keeps every message in a Maildir and shows it at /dev/mailbox/. It stands in
// for a relay during development and in tests.
//
// What it promises:
//
//   - A message that was answered with 250 is on disk and stays there over a
//     restart and a kill; one that was not is either there or not.
//   - Anyone on this machine may send to it and nobody else: it listens on
//     127.0.0.1 only, and its pages answer to a loopback Host only, unless
//     allowed otherwise.
//   - Mail is untrusted: its HTML is shown in a sandbox, without scripts and
//     without a request to anywhere.
package smtp
