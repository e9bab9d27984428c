package commands_test

import (
	"testing"
	"time"
)

// TestPasswordsDoNotAge: nobody has to change one because time has passed (C21).
func TestPasswordsDoNotAge(t *testing.T) {
	w := newWorld(t)
	w.active(ada)
	w.clock.advance(400 * 24 * time.Hour)
	if !w.signsIn(ada, secret) {
		t.Error("an old password is refused")
	}
}
