package vault

import (
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	// cacheSize bounds the memory: an unwrapped key takes about 1.5 kB.
	cacheSize = 10_000
	// cacheAge bounds how long an erased key can still be in use elsewhere.
	cacheAge = time.Minute
)

// cache keeps unwrapped keys. When it is full it drops any: a miss costs one
// query, so a cleverer order is not worth its code.
type cache struct {
	size int
	age  time.Duration

	mu   sync.Mutex
	keys map[uuid.UUID]cached
}

type cached struct {
	key   dataKey
	until time.Time
}

func newCache(size int, age time.Duration) *cache {
	return &cache{size: size, age: age, keys: map[uuid.UUID]cached{}}
}

func (c *cache) get(subject uuid.UUID, now time.Time) (dataKey, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.keys[subject]
	return found.key, ok && now.Before(found.until)
}

func (c *cache) put(subject uuid.UUID, key dataKey, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.keys[subject]; !known {
		c.makeRoom()
	}
	c.keys[subject] = cached{key, now.Add(c.age)}
}

// drop forgets a key that was destroyed.
func (c *cache) drop(subject uuid.UUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.keys, subject)
}

func (c *cache) makeRoom() {
	for dropped := range c.keys {
		if len(c.keys) < c.size {
			return
		}
		delete(c.keys, dropped)
	}
}

// fill copies what is known into keys and returns the rest.
func (c *cache) fill(keys map[uuid.UUID]dataKey, subjects []uuid.UUID) (missing []uuid.UUID) {
	for _, subject := range subjects {
		if _, done := keys[subject]; done {
			continue
		}
		if key, ok := c.get(subject, time.Now()); ok {
			keys[subject] = key
			continue
		}
		missing = append(missing, subject)
	}
	return missing
}
