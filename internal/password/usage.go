package password

// Usage is how full a queue is.
type Usage struct {
	Queue            string // "verify" for sign-ins, "hash" for new passwords
	Working, Workers int    // hashes under way, and the most at a time
	Waiting, Places  int    // callers in line, and the most before shedding
}

// Usage returns how full both queues are.
func (h *Hasher) Usage() []Usage {
	return []Usage{h.verify.usage("verify"), h.hash.usage("hash")}
}

func (q queue) usage(name string) Usage {
	working := len(q.working)
	return Usage{
		Queue: name, Working: working, Workers: cap(q.working),
		Waiting: max(0, len(q.waiting)-working), Places: cap(q.waiting) - cap(q.working),
	}
}
