// Package postgres runs a private Postgres cluster from the binaries that are
// installed on this machine.
//
// What it promises:
//
//   - Nothing is downloaded, and nothing is created but the cluster: databases,
//     roles and schemas are the caller's.
//   - The cluster is reachable through a unix socket in a directory of its own
//     only, so that it takes no port and meets no other server.
//   - The server is a child that ends with its parent. On Linux this holds for a
//     parent killed by SIGKILL too; the next Start waits for the former server.
//   - A data directory is made whole or not at all, and never wiped: one of
//     another major version, or one that holds something else, is refused.
//   - Root starts the server as an unprivileged user, because Postgres refuses
//     to run as root.
package postgres
