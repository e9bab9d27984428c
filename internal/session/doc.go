// Package session keeps sessions and the guards that end them, in rows that are
// strongly consistent: whether a session is valid is never decided by a
// projection.
//
// A token is 256 random bits; only its SHA-256 is stored. A session is valid
// while it was opened with the newest credential, the account is active and
// nothing is pending. Checking that and reading the account's view is one
// statement. When a change is pending, the account's stream is folded for that
// request: a crash between the credential row and the event leaves no stale
// session valid and no good one refused.
package session
