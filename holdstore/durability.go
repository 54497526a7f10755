package holdstore

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// durabilityAge is how long a finding about Redis's settings is believed.
const durabilityAge = 10 * time.Second

// durability remembers which servers were found durable, and when; a new connection makes it stale.
type durability struct {
	checking sync.Mutex // one check at a time; the others wait for its finding
	mu       sync.Mutex
	found    map[redis.UniversalClient]time.Time
}

func (d *durability) forget() {
	d.mu.Lock()
	clear(d.found)
	d.mu.Unlock()
}

func (d *durability) fresh(node redis.UniversalClient) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	at, ok := d.found[node]
	return ok && time.Since(at) < durabilityAge
}

func (d *durability) remember(node redis.UniversalClient, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.found, node)
	if err != nil {
		return
	}
	if d.found == nil {
		d.found = map[redis.UniversalClient]time.Time{}
	}
	d.found[node] = time.Now()
}

// Ready says whether the whole store may take holds now: nil, ErrUnavailable or ErrNotDurable with the mend.
func (s *Store) Ready(ctx context.Context) error {
	return s.byNode(ctx, func(ctx context.Context, node redis.UniversalClient, _ []keys) error {
		return s.nodeReady(ctx, node)
	})
}

// ready says the same of one shard.
func (s *Store) ready(ctx context.Context, at keys) error {
	node, err := s.node(ctx, at)
	if err != nil {
		return explain(err)
	}
	return s.nodeReady(ctx, node)
}

func (s *Store) nodeReady(ctx context.Context, node redis.UniversalClient) error {
	if s.durable.fresh(node) {
		return nil
	}
	s.durable.checking.Lock()
	defer s.durable.checking.Unlock()
	if s.durable.fresh(node) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	err := s.examine(ctx, node)
	s.durable.remember(node, err)
	return err
}

// examine looks at one server.
func (s *Store) examine(ctx context.Context, node redis.UniversalClient) error {
	text, err := node.Info(ctx, "persistence", "replication").Result()
	if err != nil {
		return explain(err)
	}
	info := infoFields(text)
	if info["loading"] == "1" {
		return fmt.Errorf("%w: redis is loading its data: wait", ErrUnavailable)
	}
	if role := info["role"]; role != "master" {
		return fmt.Errorf("%w: redis is a %s: give the address of the primary", ErrUnavailable, role)
	}
	if s.opt.Durability == "assumed" || s.opt.Durability == "relaxed" {
		return nil
	}
	for _, w := range []struct{ name, value string }{
		{"appendonly", "yes"}, {"appendfsync", "always"}, {"maxmemory-policy", "noeviction"},
	} {
		got, err := node.ConfigGet(ctx, w.name).Result()
		if err != nil && answered(err) {
			return fmt.Errorf("%w: redis does not let us read %s: allow CONFIG GET, or set durability = \"assumed\": %w",
				ErrNotDurable, w.name, err)
		}
		if err != nil {
			return explain(err)
		}
		if got[w.name] != w.value {
			return fmt.Errorf("%w: redis has %s %q: run CONFIG SET %s %s and write it into redis.conf",
				ErrNotDurable, w.name, got[w.name], w.name, w.value)
		}
	}
	if info["aof_enabled"] != "1" || info["aof_last_write_status"] != "ok" {
		return fmt.Errorf("%w: redis says aof_enabled:%s aof_last_write_status:%s: free space on its disk and look into its log",
			ErrNotDurable, info["aof_enabled"], info["aof_last_write_status"])
	}
	return nil
}

// infoFields reads the name:value lines of INFO.
func infoFields(text string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}
