package vault

import "sync/atomic"

// Keys gives the set of keys that counts at the moment. It is asked for each use:
// a KeySet stays what it is, a Ring changes while processes run.
type Keys interface{ Set() KeySet }

// Set makes a KeySet one that never changes.
func (s KeySet) Set() KeySet { return s }

// Ring is a set of keys that is exchanged while it is in use. Make it with NewRing.
type Ring struct{ set atomic.Pointer[KeySet] }

// NewRing returns a ring of the set.
func NewRing(set KeySet) *Ring {
	r := &Ring{}
	r.Replace(set)
	return r
}

// Set returns the set of now.
func (r *Ring) Set() KeySet { return *r.set.Load() }

// Replace exchanges the set. What was begun with the former one ends with it.
func (r *Ring) Replace(set KeySet) { r.set.Store(&set) }
