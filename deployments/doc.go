// Package deployments holds what Daybook is deployed with: the Dockerfile, what
// docker-compose.yml mounts, and their tests. It has no code of its own.
//
// Its tests promise that docker-compose.yml follows the Compose Specification,
// that every setting in it is known to the program and passes the production
// rules with the exceptions that it names, that every server it starts is pinned,
// checked for health and waited for, and that the continuous integration runs
// against the same servers. They start no container.
package deployments
