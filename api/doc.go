// Package api is the service as HTTP shows it: commands and queries of the
// write and the read side, the links that mails carry, and the built-in pages.
//
// A request walks routes.go (all of them on one screen), middleware.go, one file
// per resource, and on failure problem.go, which alone knows which refusal has
// which status. Handlers return errors; nothing else writes a failure.
//
// The package promises that every failure, whatever its status, is a problem
// document (RFC 9457) with a sentence for the user; that nothing a client sends
// makes a 5xx; that bodies are read strictly and within bounds, and not at all
// before the caller is known where a session is needed; that GET and HEAD change
// nothing, but for the link of the seed contract; and that neither bodies,
// addresses, tokens nor raw paths are logged.
package api
