// Package testkit gives tests the real things: a migrated database of their own,
// an embedded event store spoken to by the real client, and waiting without
// sleeping.
//
// DAYBOOK_TEST_DATABASE_URL names a server on which databases may be created;
// without it a private cluster is started once per test binary. Without any
// Postgres on the machine the tests fail: a test that is silently skipped
// protects nobody.
package testkit
