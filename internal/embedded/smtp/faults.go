package smtp

import "sync"

// fault is what happens to one message instead of the usual.
type fault struct {
	refuse     int  // an SMTP reply code, or 0
	loseAnswer bool // store it, then cut the connection
}

// faults is a queue of them, one for each following message.
type faults struct {
	mu    sync.Mutex
	queue []fault
}

// RefuseNext answers the following messages with these reply codes, one each, in
// order: for tests of a sender. 4xx means "try again", 5xx "never" (RFC 5321,
// section 4.2.1).
func (s *Server) RefuseNext(codes ...int) {
	for _, code := range codes {
		s.faults.add(fault{refuse: code})
	}
}

// LoseNextAnswer stores the following message and cuts the connection before the
// answer: the sender cannot know that it has arrived.
func (s *Server) LoseNextAnswer() { s.faults.add(fault{loseAnswer: true}) }

func (f *faults) add(one fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queue = append(f.queue, one)
}

func (f *faults) take() fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue) == 0 {
		return fault{}
	}
	first := f.queue[0]
	f.queue = f.queue[1:]
	return first
}
