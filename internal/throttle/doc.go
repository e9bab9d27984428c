// Package throttle bounds how often something may be tried, by all processes
// together: the counters are rows of app.throttles.
//
// A try is reserved before it is made, in one atomic statement, so that parallel
// tries never exceed a limit together. Keys are stored as keyed hashes: the table
// does not tell which address came when.
package throttle
