package node

import (
	"encoding/json"
	"math"
	"strings"
	"time"
)

// Names that the protocol reserves.
const (
	allStream           = "$all"
	metastreamPrefix    = "$$"
	metadataType        = "$metadata"
	tombstoneType       = "$streamDeleted"
	linkType            = "$>"
	truncateBeforeKey   = "$tb"
	epochStream         = "$epoch-information"
	persistentAllPrefix = "$persistentsubscription-$all::"
	checkpointSuffix    = "-checkpoint"
	parkedSuffix        = "-parked"
	noEvents            = int64(-1)
	deletedTruncation   = int64(math.MaxInt64)
)

func isMetastream(stream string) bool { return strings.HasPrefix(stream, metastreamPrefix) }

func metastreamOf(stream string) string { return metastreamPrefix + stream }

func ownerOf(metastream string) string { return metastream[len(metastreamPrefix):] }

// isHidden tells which streams the server keeps out of $all.
func isHidden(stream string) bool {
	if stream == epochStream {
		return true
	}
	return strings.HasPrefix(stream, persistentAllPrefix) &&
		(strings.HasSuffix(stream, checkpointSuffix) || strings.HasSuffix(stream, parkedSuffix))
}

// streamMetadata is the part of a stream's metadata that the server acts on. Access
// lists are stored and returned with the rest but not enforced.
type streamMetadata struct {
	MaxCount       *int64 `json:"$maxCount"`
	MaxAge         *int64 `json:"$maxAge"`
	TruncateBefore *int64 `json:"$tb"`
}

// parseMetadata reads a $metadata event. What can't be understood counts as empty, as
// on the server: a wrong value must not make a stream unreadable.
func parseMetadata(data []byte) streamMetadata {
	var m streamMetadata
	if json.Unmarshal(data, &m) != nil || below(m.MaxCount, 1) || below(m.MaxAge, 1) || below(m.TruncateBefore, 0) {
		return streamMetadata{}
	}
	return m
}

func below(value *int64, least int64) bool { return value != nil && *value < least }

// withTruncation returns the metadata in data with $tb set and all other keys kept.
func withTruncation(data []byte, before int64) []byte {
	keys := map[string]json.RawMessage{}
	if json.Unmarshal(data, &keys) != nil || keys == nil {
		keys = map[string]json.RawMessage{}
	}
	number, _ := json.Marshal(before)
	keys[truncateBeforeKey] = number
	merged, _ := json.Marshal(keys) // numbers and valid raw JSON can't fail
	return merged
}

// streamState is what decides about a stream, derived from its events and those of its
// metastream.
type streamState struct {
	// last is the revision of the newest event, noEvents if there is none.
	last       int64
	tombstoned bool
	// described tells that the stream has metadata, whether it has events or not.
	described bool
	metadata  streamMetadata
}

func stateOf(r reader, stream string) (streamState, error) {
	if isMetastream(stream) {
		return metastreamState(r, stream)
	}
	state := streamState{last: noEvents}
	newest, found, err := r.last(stream)
	if err != nil {
		return state, err
	}
	if found {
		state.last, state.tombstoned = newest.revision, newest.isTombstone()
	}
	described, found, err := r.last(metastreamOf(stream))
	if found {
		state.described, state.metadata = true, parseMetadata(described.data)
	}
	return state, err
}

// metastreamState is the state of a metastream: only its newest event is visible, and it
// ends together with the stream it describes.
func metastreamState(r reader, stream string) (streamState, error) {
	one := int64(1)
	state := streamState{last: noEvents, metadata: streamMetadata{MaxCount: &one}}
	owner, found, err := r.last(ownerOf(stream))
	if err != nil {
		return state, err
	}
	state.tombstoned = found && owner.isTombstone()
	newest, found, err := r.last(stream)
	if found {
		state.last = newest.revision
	}
	return state, err
}

// softDeleted tells that the stream reads as missing until it is written to again.
func (s streamState) softDeleted() bool {
	return s.metadata.TruncateBefore != nil && *s.metadata.TruncateBefore == deletedTruncation
}

// missing tells that a reader is to be told there is no such stream.
func (s streamState) missing() bool { return s.last == noEvents || s.softDeleted() }

// window is the part of a stream that its metadata leaves visible.
type window struct {
	first  int64
	oldest int64
}

func (s streamState) window(now time.Time) window {
	w := window{oldest: math.MinInt64}
	if tb := s.metadata.TruncateBefore; tb != nil {
		w.first = *tb
	}
	if count := s.metadata.MaxCount; count != nil {
		w.first = max(w.first, s.last-*count+1)
	}
	if age := s.metadata.MaxAge; age != nil {
		w.oldest = ticks(now) - min(*age, math.MaxInt32)*int64(time.Second/100)
	}
	return w
}

func (w window) shows(r record) bool { return r.revision >= w.first && r.created >= w.oldest }
