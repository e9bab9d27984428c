// Package keyring lets all processes of a deployment take up new keys while they run.
//
// What is current is not what stands first in a setting, but what the event store says
// (KeyRotated, KeyMadeCurrent in the stream daybook-store): one truth for all. Every
// second each process reads where its keys come from and what the store says, and then
// tells Postgres which keys it knows. A new key is first only known: to read with, and,
// of addresses, to claim under beside the old one. It becomes current when every process
// that is alive knows it, so that none meets a value it cannot read. Of addresses, what
// accounts own must be claimed under it first; see commands.IndexAddress.
//
// A process that could not tell of itself for half of Life registers nobody (Fresh):
// others may take it for gone by then.
package keyring
