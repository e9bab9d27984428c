//go:build race

package eventstore_test

// raceDetector tells that the tests run under it.
const raceDetector = true
