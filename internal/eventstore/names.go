package eventstore

import (
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"daybook/domain"
)

// metadataPrefix is in front of the name of the stream with a stream's metadata.
const metadataPrefix = "$$"

func (c *Client) fullName(stream string) string {
	if described, ok := strings.CutPrefix(stream, metadataPrefix); ok {
		return metadataPrefix + c.namespacePrefix() + described
	}
	return c.namespacePrefix() + stream
}

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

// ownOrMetadata gives the plain name of one of this service's streams or of the
// metadata of one.
func (c *Client) ownOrMetadata(full string) (stream string, ok bool) {
	described, metadata := strings.CutPrefix(full, metadataPrefix)
	plain, ok := c.plainName(described)
	if metadata {
		return metadataPrefix + plain, ok && c.own(plain)
	}
	return plain, ok && c.own(plain)
}

// stored is what is handed out of an event; ok is false for events of others.
func (c *Client) stored(e *esdb.RecordedEvent) (s domain.Stored, ok bool) {
	c.expected.saw(e.Position.Commit)
	return c.toStored(e)
}

// toStored gives an event its plain name; ok is false for events of others.
func (c *Client) toStored(e *esdb.RecordedEvent) (s domain.Stored, ok bool) {
	name, ok := c.plainName(e.StreamID)
	if !ok {
		return domain.Stored{}, false
	}
	return domain.Stored{
		Stream: name, Revision: int64(e.EventNumber), Position: e.Position.Commit,
		ID: e.EventID, Type: e.EventType, Data: e.Data, Metadata: e.UserMetadata,
	}, true
}
