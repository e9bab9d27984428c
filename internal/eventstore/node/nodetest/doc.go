// Package nodetest runs an event store node for a test and connects the real client to
// it, over a Unix socket.
//
// It promises that a node started here serves when Start returns, is closed when the
// test ends, and shares nothing with any other.
package nodetest
