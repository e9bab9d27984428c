package node

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
)

// groupKey names a group of a persistent subscription.
type groupKey struct {
	Stream string `json:"stream"`
	Group  string `json:"group"`
}

// String is the subscription's id, as the server makes it.
func (k groupKey) String() string { return k.Stream + "::" + k.Group }

func (k groupKey) checkpointStream() string {
	return "$persistentsubscription-" + k.String() + checkpointSuffix
}

func (k groupKey) parkedStream() string {
	return "$persistentsubscription-" + k.String() + parkedSuffix
}

// place writes a position of $all, or a revision of the group's stream, in the form that
// clients parse: C:1/P:1 or 1. The end is -1 in both.
func (k groupKey) place(number int64) string {
	if k.Stream == allStream {
		return fmt.Sprintf("C:%d/P:%d", number, number)
	}
	return strconv.FormatInt(number, 10)
}

// Strategies by which events are given to a group's consumers.
const (
	strategySingle      = "DispatchToSingle"
	strategyRoundRobin  = "RoundRobin"
	strategyPinned      = "Pinned"
	strategyCorrelation = "PinnedByCorrelation"
)

var strategies = []string{strategySingle, strategyRoundRobin, strategyPinned, strategyCorrelation}

// groupConfig is what a group was created with, as it is stored. Times are milliseconds.
type groupConfig struct {
	groupKey
	// Start is the first revision or position wanted; -1 is the end at the time the
	// group starts, which until its first checkpoint is each start of the node.
	Start              int64        `json:"start"`
	Filter             *savedFilter `json:"filter,omitempty"`
	ResolveLinks       bool         `json:"resolveLinks"`
	ExtraStatistics    bool         `json:"extraStatistics"`
	MaxRetryCount      int32        `json:"maxRetryCount"`
	MinCheckpointCount int32        `json:"minCheckpointCount"`
	MaxCheckpointCount int32        `json:"maxCheckpointCount"`
	MaxSubscriberCount int32        `json:"maxSubscriberCount"`
	LiveBufferSize     int32        `json:"liveBufferSize"`
	ReadBatchSize      int32        `json:"readBatchSize"`
	HistoryBufferSize  int32        `json:"historyBufferSize"`
	MessageTimeout     int64        `json:"messageTimeout"`
	CheckpointAfter    int64        `json:"checkpointAfter"`
	Strategy           string       `json:"strategy"`
}

// savedFilter is a filter as it is stored. It is an expression.
type savedFilter struct {
	ByType   bool     `json:"byType,omitempty"`
	Prefixes []string `json:"prefixes,omitempty"`
	Regex    string   `json:"regex,omitempty"`
}

// GetRegex implements expression.
func (f savedFilter) GetRegex() string { return f.Regex }

// GetPrefix implements expression.
func (f savedFilter) GetPrefix() []string { return f.Prefixes }

func (f *savedFilter) compile() (filter, error) {
	if f == nil {
		return filter{}, nil
	}
	compiled, err := parseExpression(f)
	compiled.byType = f.ByType
	return compiled, err
}

// groupSettings is what the settings of creation and update have in common.
type groupSettings interface {
	GetResolveLinks() bool
	GetExtraStatistics() bool
	GetMaxRetryCount() int32
	GetMinCheckpointCount() int32
	GetMaxCheckpointCount() int32
	GetMaxSubscriberCount() int32
	GetLiveBufferSize() int32
	GetReadBatchSize() int32
	GetHistoryBufferSize() int32
	GetMessageTimeoutMs() int32
	GetMessageTimeoutTicks() int64
	GetCheckpointAfterMs() int32
	GetCheckpointAfterTicks() int64
}

// set takes over the settings. A time is in milliseconds or in 100 ns ticks, whichever
// the client sent.
func (c *groupConfig) set(s groupSettings, strategy string) error {
	c.ResolveLinks, c.ExtraStatistics = s.GetResolveLinks(), s.GetExtraStatistics()
	c.MaxRetryCount, c.MaxSubscriberCount = s.GetMaxRetryCount(), s.GetMaxSubscriberCount()
	c.MinCheckpointCount, c.MaxCheckpointCount = s.GetMinCheckpointCount(), s.GetMaxCheckpointCount()
	c.LiveBufferSize, c.ReadBatchSize, c.HistoryBufferSize = s.GetLiveBufferSize(), s.GetReadBatchSize(), s.GetHistoryBufferSize()
	c.MessageTimeout = int64(s.GetMessageTimeoutMs()) + s.GetMessageTimeoutTicks()/int64(time.Millisecond/100)
	c.CheckpointAfter = int64(s.GetCheckpointAfterMs()) + s.GetCheckpointAfterTicks()/int64(time.Millisecond/100)
	c.Strategy = strategy
	return c.validate()
}

func (c *groupConfig) validate() error {
	reason := ""
	switch {
	case c.Group == "":
		return invalidArgument("group name is empty")
	case !slices.Contains(strategies, c.Strategy):
		reason = fmt.Sprintf("consumer strategy %q is not known", c.Strategy)
	case c.ReadBatchSize <= 0 || c.ReadBatchSize >= c.HistoryBufferSize:
		reason = "read batch size must be greater than 0 and less than the history buffer size"
	case c.MessageTimeout < 0 || c.CheckpointAfter < 0:
		reason = "message timeout and checkpoint time must not be negative"
	case c.MaxRetryCount < 0 || c.MaxSubscriberCount < 0 || c.MinCheckpointCount < 0 || c.MaxCheckpointCount < c.MinCheckpointCount:
		reason = "counts must not be negative, and the maximum checkpoint count not less than the minimum"
	default:
		return nil
	}
	return subscriptionFailed(c.groupKey, reason)
}

// startAt sets where the group begins. The greatest number is another way to say "end".
func (c *groupConfig) startAt(number uint64, end bool) error {
	switch {
	case end || number == lastPosition:
		c.Start = -1
	case number > lastRevision:
		return invalidArgument("start is out of range")
	default:
		c.Start = int64(number)
	}
	return nil
}

// createdFilter takes the filter of a new group on $all. Its window and multiplier are
// for checkpoints, which a group makes by its own rules; the Go client sends 0 for them.
func createdFilter(o *persistent.CreateReq_AllOptions_FilterOptions) (*savedFilter, error) {
	if o == nil {
		return nil, nil
	}
	var saved savedFilter
	switch by := o.GetFilter().(type) {
	case *persistent.CreateReq_AllOptions_FilterOptions_StreamIdentifier:
		saved = savedFilter{Prefixes: by.StreamIdentifier.GetPrefix(), Regex: by.StreamIdentifier.GetRegex()}
	case *persistent.CreateReq_AllOptions_FilterOptions_EventType:
		saved = savedFilter{ByType: true, Prefixes: by.EventType.GetPrefix(), Regex: by.EventType.GetRegex()}
	default:
		return nil, invalidArgument("filter names neither stream nor event type")
	}
	_, err := saved.compile()
	return &saved, err
}
