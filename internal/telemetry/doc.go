// Package telemetry makes the service visible: metrics for Prometheus, traces for
// OpenTelemetry, and log lines that join up. It knows nothing of the service's
// parts; internal/app puts it on at their seams.
//
// What it promises:
//
//   - Nothing is global: each Metrics has a registry of its own, each Tracing a
//     provider of its own.
//   - Labels and attributes come from closed sets (route templates, command
//     names, outcomes) or are ids. Paths, queries, headers, client addresses,
//     arguments of statements and texts of errors are recorded nowhere: paths of
//     this service carry tokens, and errors quote what they choke on.
//   - A trace that a client has begun goes on here, also while tracing is off,
//     so that its id is in the events.
//   - Spans that cannot be sent are dropped after a bounded wait, and a warning
//     says so. The service never waits for a collector.
package telemetry
