// Package device says what a person signed in with, coarsely: enough to know one's
// own sessions by and to notice a strange one, too little to track anybody.
//
// A device is a family of browsers on a family of systems in a network. There is no
// cookie for it (the contract has exactly one), and versions and single addresses
// play no part: an update of the browser or another address of the same network is
// the same device.
package device
