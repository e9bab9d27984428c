// Package app puts the parts together: settings, embedded stand-ins, the roles
// and their life cycle, the subcommands.
//
// It promises that a start either brings up everything or ends with one sentence
// that names what is wrong and the setting to change, with nothing left running;
// and that the end of any part ends all of them, within five seconds.
package app
