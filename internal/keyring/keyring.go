package keyring

import (
	"maps"
	"slices"

	"daybook/internal/eventstore"
	"daybook/internal/vault"
)

// The kinds of keys, as the store's events name them.
const (
	Master  = "master"  // wrap the data keys
	Token   = "token"   // make the tokens of mailed links
	Address = "address" // name the streams of claims
)

// Kinds lists them.
func Kinds() []string { return []string{Master, Token, Address} }

// Sets are the keys of a deployment by kind, each as it was given: the one that is
// wanted as current first.
type Sets map[string]vault.KeySet

// Fingerprints tells the store which keys are known without telling the keys.
func (s Sets) Fingerprints() map[string]string {
	prints := map[string]string{}
	for kind, set := range s {
		for _, key := range set {
			prints[kind+":"+key.ID] = key.Fingerprint()
		}
	}
	return prints
}

// ordered puts the key that the store says is current in front.
func (s Sets) ordered(identity eventstore.Identity) Sets {
	sets := Sets{}
	for kind, set := range s {
		current, _ := set.Find(identity.Current[kind])
		rest := slices.DeleteFunc(slices.Clone(set), func(key vault.Key) bool { return key.ID == current.ID })
		sets[kind] = append(vault.KeySet{current}, rest...)
	}
	return sets
}

func (s Sets) known() []string { return slices.Sorted(maps.Keys(s.Fingerprints())) }

func (s Sets) current() (keys []string) {
	for kind, set := range s {
		keys = append(keys, kind+":"+set.Current().ID)
	}
	return keys
}

// Rings are the keys in use, one ring for each kind.
type Rings map[string]*vault.Ring

// NewRings returns rings of the sets.
func NewRings(sets Sets) Rings {
	rings := Rings{}
	for kind, set := range sets {
		rings[kind] = vault.NewRing(set)
	}
	return rings
}

func (r Rings) replace(sets Sets) {
	for kind, set := range sets {
		r[kind].Replace(set)
	}
}
