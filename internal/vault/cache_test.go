package vault

import (
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestCacheIsBounded(t *testing.T) {
	c := newCache(100, time.Minute)
	now := time.Now()
	for range 1000 {
		c.put(uuid.New(), dataKey{version: 1}, now)
		if len(c.keys) > 100 {
			t.Fatalf("%d keys", len(c.keys))
		}
	}
	subject := uuid.New()
	c.put(subject, dataKey{version: 1}, now)
	if _, ok := c.get(subject, now.Add(time.Minute-1)); !ok {
		t.Error("forgotten too soon")
	}
	if _, ok := c.get(subject, now.Add(time.Minute)); ok {
		t.Error("kept too long")
	}
}

// TestPuttingAgainDropsNothing: a full cache stays full of what it has.
func TestPuttingAgainDropsNothing(t *testing.T) {
	c := newCache(2, time.Minute)
	now := time.Now()
	one, two := uuid.New(), uuid.New()
	c.put(one, dataKey{}, now)
	for range 10 {
		c.put(two, dataKey{}, now)
	}
	if _, ok := c.get(one, now); !ok || len(c.keys) != 2 {
		t.Error("a key was dropped without need")
	}
}
