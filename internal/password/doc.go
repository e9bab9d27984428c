// Package password hashes passwords with Argon2id (RFC 9106) behind bounded
// queues.
//
// Hashing is the dearest thing the service does, so it is what an attacker would
// make it do. Sign-ins have one share of the workers and new passwords another;
// what does not get a place soon is shed, so that memory stays bounded and all
// other requests stay fast.
package password
