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

// durability remembers the last finding; a new connection makes it stale.
type durability struct {
	checking sync.Mutex // one check at a time; the others wait for its finding
	mu       sync.Mutex
	at       time.Time
	finding  error
}

func (d *durability) forget() {
	d.mu.Lock()
	d.at = time.Time{}
	d.mu.Unlock()
}

func (d *durability) fresh() (error, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.finding, !d.at.IsZero() && time.Since(d.at) < durabilityAge
}

func (d *durability) remember(err error) {
	d.mu.Lock()
	d.at, d.finding = time.Now(), err
	d.mu.Unlock()
}

// Ready says whether the store may take holds now: nil, ErrUnavailable or ErrNotDurable with the mend.
func (s *Store) Ready(ctx context.Context) error {
	if err, ok := s.durable.fresh(); ok && err == nil {
		return nil
	}
	s.durable.checking.Lock()
	defer s.durable.checking.Unlock()
	if err, ok := s.durable.fresh(); ok && err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	err := s.examine(ctx)
	s.durable.remember(err)
	return err
}

// node returns the server that owns the keys: CONFIG, INFO, WAIT and SCAN have no key that would lead there.
func (s *Store) node(ctx context.Context) (redis.Cmdable, error) {
	if c, ok := s.redis.(*redis.ClusterClient); ok {
		return c.MasterForKey(ctx, string(s.keys))
	}
	return s.redis, nil
}

func (s *Store) examine(ctx context.Context) error {
	node, err := s.node(ctx)
	if err != nil {
		return explain(err)
	}
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
