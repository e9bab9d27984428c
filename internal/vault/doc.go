// Package vault keeps what an immutable log must not hold: the data keys that
// seal personal fields, password hashes, and for an hour at most the address to
// which an erased person's last mail goes.
//
// Each person has one random 256-bit data key, wrapped with AES-256-GCM by a
// master key that is not in the database. A sealed box is bound to its place
// (stream, event id, type, schema, subject, key version) as additional data, so
// it cannot be moved. Opening a box ends in one of four ways: the value;
// domain.ErrErased when the person's fence row exists; ErrKeyLost when there is
// neither key nor fence; any other error when the vault is out of reach. An
// outage is never taken for an erasure.
//
// Erasing a person puts up the fence and destroys key and credentials in one
// transaction, behind a lock that every writer of either takes: none of them is
// written again. A process may use a key that it has cached for a minute more.
//
// Commits are synchronous. Keys are loaded once per batch and cached, bounded in
// number and age.
package vault
