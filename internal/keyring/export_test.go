package keyring

import "time"

// Age makes the follower believe that it began earlier, and told nothing since.
func Age(f *Follower, by time.Duration) { f.began = f.began.Add(-by - time.Second) }
