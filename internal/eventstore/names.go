package eventstore

import (
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"daybook/domain"
)

func (c *Client) fullName(stream string) string { return c.namespacePrefix() + stream }

func (c *Client) namespacePrefix() string {
	if c.config.Namespace == "" {
		return ""
	}
	return c.config.Namespace + "."
}

// plainName takes the namespace off a name. Names of other programs and of the
// server itself have none.
func (c *Client) plainName(full string) (string, bool) {
	if strings.HasPrefix(full, "$") {
		return "", false
	}
	return strings.CutPrefix(full, c.namespacePrefix())
}

// filter lets the server sort out what is not wanted.
func (c *Client) filter(prefixes []string) *esdb.SubscriptionFilter {
	if len(prefixes) == 0 {
		prefixes = c.config.Prefixes
	}
	if len(prefixes) == 0 && c.config.Namespace == "" {
		return &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Regex: `^[^$]`}
	}
	if len(prefixes) == 0 {
		prefixes = []string{""}
	}
	full := make([]string, len(prefixes))
	for i, p := range prefixes {
		full[i] = c.fullName(p)
	}
	return &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: full}
}

// own reports whether a plain name is one of this service's streams.
func (c *Client) own(stream string) bool {
	for _, p := range c.config.Prefixes {
		if strings.HasPrefix(stream, p) {
			return true
		}
	}
	return len(c.config.Prefixes) == 0
}

// stored gives an event its plain name; ok is false for events of others.
func (c *Client) stored(e *esdb.RecordedEvent) (s domain.Stored, ok bool) {
	name, ok := c.plainName(e.StreamID)
	if !ok {
		return domain.Stored{}, false
	}
	return domain.Stored{
		Stream: name, Revision: int64(e.EventNumber), Position: e.Position.Commit,
		ID: e.EventID, Type: e.EventType, Data: e.Data, Metadata: e.UserMetadata,
	}, true
}
