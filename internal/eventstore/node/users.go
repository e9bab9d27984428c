package node

import (
	"context"
	"fmt"

	"github.com/google/uuid"
)

// The stream in which EventStoreDB names its users. Programs, its clients' own tests
// among them, take an event in it for the sign that a server is ready.
const (
	usersStream = "$users"
	usersType   = "$User"
	// defaultUser is EventStoreDB's first user.
	defaultUser = "admin"
)

// writeUsers makes that event the first of a new store.
func (n *Node) writeUsers() error {
	if tail, _ := n.writer.tail(); tail > 0 {
		return nil
	}
	user := n.config.Username
	if user == "" {
		user = defaultUser
	}
	e := newEvent{id: uuid.New(), typ: usersType, data: []byte(user)}
	if err := n.writeEvent(context.Background(), usersStream, e); err != nil {
		return fmt.Errorf("write the first event of a new store: %w", err)
	}
	return nil
}
