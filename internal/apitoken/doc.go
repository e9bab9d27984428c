// Package apitoken keeps the bearer tokens (RFC 6750) that operators give to
// machines.
//
// A token is `dbk_<id>_<secret>` with 256 random bits as secret; only the
// SHA-256 of the whole is stored. Checking one is one statement against a
// strongly consistent row, so a revoked token is refused from that moment on, by
// every process. That a token was made or revoked is an event of the
// `daybook-store` stream; neither the token nor the name an operator gave it is
// in there.
package apitoken
