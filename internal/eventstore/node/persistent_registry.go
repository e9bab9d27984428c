package node

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/google/uuid"
)

// The stream in which groups are written down, by one event for all of them.
const (
	groupsStream = "$persistentSubscriptionConfig"
	groupsType   = "$PersistentConfig"
)

// savedGroups is the data of such an event.
type savedGroups struct {
	Version int           `json:"version"`
	Groups  []groupConfig `json:"groups"`
}

// groups are a node's groups. mu is held while one is created, changed or deleted.
type groups struct {
	node *Node
	mu   sync.Mutex
	all  map[groupKey]*group
}

// load starts the groups that were written down.
func (gs *groups) load() error {
	var saved savedGroups
	err := gs.node.writer.read(func(v view) error {
		newest, found, err := v.last(groupsStream)
		if err != nil || !found {
			return err
		}
		return json.Unmarshal(newest.data, &saved)
	})
	if err != nil {
		return fmt.Errorf("read subscription groups: %w", err)
	}
	return gs.startAll(saved.Groups)
}

func (gs *groups) startAll(configs []groupConfig) error {
	started := map[groupKey]*group{}
	for _, c := range configs {
		g, err := newGroup(gs.node, c)
		if err != nil {
			return fmt.Errorf("start subscription group %s: %w", c.groupKey, err)
		}
		started[c.groupKey] = g
	}
	gs.all = started
	for _, g := range started {
		go g.run()
	}
	return nil
}

// close ends the groups' work. Their connections end by the node's closing.
func (gs *groups) close() {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	for _, g := range gs.all {
		g.close()
	}
	gs.all = map[groupKey]*group{}
}

// restart drops all connections and begins anew from the checkpoints.
func (gs *groups) restart() error {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	var configs []groupConfig
	for key, g := range gs.all {
		g.drop(groupDropped(key))
		g.close()
		configs = append(configs, g.config)
	}
	return gs.startAll(configs)
}

func (gs *groups) find(key groupKey) (*group, error) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g, found := gs.all[key]
	if !found {
		return nil, groupMissing(key)
	}
	return g, nil
}

// list returns the groups in order of their names; chosen tells which.
func (gs *groups) list(chosen func(groupKey) bool) []*group {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	var found []*group
	for _, key := range gs.keys() {
		if chosen(key) {
			found = append(found, gs.all[key])
		}
	}
	return found
}

func (gs *groups) keys() []groupKey {
	return slices.SortedFunc(maps.Keys(gs.all), func(a, b groupKey) int { return cmp.Compare(a.String(), b.String()) })
}

func (gs *groups) create(ctx context.Context, config groupConfig) error {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if _, found := gs.all[config.groupKey]; found {
		return groupExists(config.groupKey)
	}
	if err := gs.save(ctx, config.groupKey, &config); err != nil {
		return err
	}
	return gs.begin(config)
}

// begin starts the group in the place of any with the same name.
func (gs *groups) begin(config groupConfig) error {
	g, err := newGroup(gs.node, config)
	if err != nil {
		return err
	}
	gs.all[config.groupKey] = g
	go g.run()
	return nil
}

// update gives a group other settings. The filter and the checkpoint stay.
func (gs *groups) update(ctx context.Context, config groupConfig) error {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	old, found := gs.all[config.groupKey]
	if !found {
		return groupMissing(config.groupKey)
	}
	config.Filter = old.config.Filter
	if err := gs.save(ctx, config.groupKey, &config); err != nil {
		return err
	}
	old.drop(groupDropped(config.groupKey))
	old.close()
	return gs.begin(config)
}

// remove deletes a group with its checkpoint and its parked events.
func (gs *groups) remove(ctx context.Context, key groupKey) error {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g, found := gs.all[key]
	if !found {
		return groupMissing(key)
	}
	// It must stop first, lest it writes a checkpoint that a later group would find.
	g.drop(groupDropped(key))
	g.close()
	delete(gs.all, key)
	if err := gs.save(ctx, key, nil); err != nil {
		return errors.Join(err, gs.begin(g.config))
	}
	return nil
}

// save writes the groups down with the one changed, or without it if config is nil. Then
// its streams are deleted in the same step.
func (gs *groups) save(ctx context.Context, key groupKey, config *groupConfig) error {
	saved := savedGroups{Version: 1}
	for _, other := range gs.keys() {
		if other != key {
			saved.Groups = append(saved.Groups, gs.all[other].config)
		}
	}
	if config != nil {
		saved.Groups = append(saved.Groups, *config)
	}
	data, err := json.Marshal(saved)
	if err != nil {
		return err
	}
	event := newEvent{id: uuid.New(), typ: groupsType, json: true, data: data}
	request := appendRequest{stream: groupsStream, expected: expectAny, events: []newEvent{event}}
	return gs.node.writer.submit(ctx, func(d *draft) error {
		if _, err := planAppend(d, request); err != nil || config != nil {
			return err
		}
		return deleteGroupStreams(d, key)
	})
}

func deleteGroupStreams(d *draft, key groupKey) error {
	for _, stream := range []string{key.checkpointStream(), key.parkedStream()} {
		state, err := stateOf(d, stream)
		if err != nil {
			return err
		}
		if _, err := planDelete(d, stream, state); err != nil {
			return err
		}
	}
	return nil
}
