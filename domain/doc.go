// Package domain holds the rules and facts of an account: what may happen
// (the commands' Decide), what has happened (the events) and what follows from
// it (Evolve).
//
// The package promises to be pure. Nothing in it knows a context, a clock or a
// store: time and ids come in as arguments. Decide may refuse; Evolve may not,
// because history has happened and must stay readable for ever.
//
// Event names and schema versions live in one table (codec.go) and are never
// derived from a Go type, because the name is on disk for ever and the type is
// not. Personal fields are kept apart in every event (Personal), so that they
// can be sealed at the seam to the store.
//
// Besides the standard library it uses four pure libraries, for facts that are
// tables of somebody else: uuid, idna (RFC 5891), norm (Unicode NFC) and
// phonenumbers (numbering plans).
package domain
