package node

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
)

// defaultWindow is how many events are considered between checkpoints, before the
// multiplier, when the client leaves that to the server.
const defaultWindow = 32

// maxPattern bounds the length of a filter's regular expression in bytes. The protocol
// has no limit; the longest that makes sense is far shorter.
const maxPattern = 4096

// filter selects events of $all. The zero value selects all.
type filter struct {
	// byType tells that the event's type is tested, not its stream's name.
	byType   bool
	prefixes []string
	pattern  *regexp.Regexp
	// interval is how many considered events lie between two checkpoints, 0 for none.
	interval uint64
}

// expression is what filter messages of reads and of persistent subscriptions share.
type expression interface {
	GetRegex() string
	GetPrefix() []string
}

// filterOptions is what their options share.
type filterOptions interface {
	GetMax() uint32
	GetCount() *shared.Empty
	GetCheckpointIntervalMultiplier() uint32
}

// parseFilter reads the filter of a read.
func parseFilter(options *streams.ReadReq_Options_FilterOptions) (filter, error) {
	var f filter
	var err error
	switch by := options.GetFilter().(type) {
	case *streams.ReadReq_Options_FilterOptions_StreamIdentifier:
		f, err = parseExpression(by.StreamIdentifier)
	case *streams.ReadReq_Options_FilterOptions_EventType:
		f, err = parseExpression(by.EventType)
		f.byType = true
	default:
		err = invalidArgument("filter names neither stream nor event type")
	}
	if err != nil {
		return filter{}, err
	}
	f.interval, err = checkpointInterval(options, options.GetWindow() != nil)
	return f, err
}

// parseExpression reads prefixes or one regular expression. That is .NET's on the
// server, matched anywhere; what RE2 can't do (look-around, references) is refused.
func parseExpression(e expression) (filter, error) {
	if prefixes := e.GetPrefix(); len(prefixes) > 0 {
		return filter{prefixes: slices.Clone(prefixes)}, nil
	}
	if len(e.GetRegex()) > maxPattern {
		return filter{}, invalidArgument("regular expression of the filter is too long")
	}
	pattern, err := regexp.Compile(e.GetRegex())
	if err != nil {
		return filter{}, invalidArgument(fmt.Sprintf("regular expression of the filter: %v", err))
	}
	return filter{pattern: pattern}, nil
}

func checkpointInterval(options filterOptions, present bool) (uint64, error) {
	window := uint64(options.GetMax())
	if options.GetCount() != nil {
		window = defaultWindow
	}
	interval := window * uint64(options.GetCheckpointIntervalMultiplier())
	if !present || interval == 0 {
		return 0, invalidArgument("search window and checkpoint interval multiplier must be greater than 0")
	}
	return interval, nil
}

func (f filter) active() bool { return f.pattern != nil || f.prefixes != nil }

// matches tells whether the record is selected. Prefixes compare bytes.
func (f filter) matches(r record) bool {
	if !f.active() {
		return true
	}
	subject := r.stream
	if f.byType {
		subject = r.typ
	}
	if f.pattern != nil {
		return f.pattern.MatchString(subject)
	}
	return slices.ContainsFunc(f.prefixes, func(prefix string) bool { return strings.HasPrefix(subject, prefix) })
}
