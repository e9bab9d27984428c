// Package export writes everything that the service holds of one person as one JSON
// document (GDPR, articles 15 and 20).
//
// It reads the person's streams themselves, so the document is whole also while every
// view is behind, and it writes them page by page: its memory does not grow with the
// history. What is not in it is nobody's to take away: the hash of the password, keys,
// and counters of limits that are kept for minutes.
//
// The format is stable: members are added, never changed, and Version rises when that
// cannot be kept. api/openapi.yaml describes it.
package export
