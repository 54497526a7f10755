package holdstore

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Health is what one Redis server that keeps holds says of itself.
type Health struct {
	Info      map[string]string // the fields of INFO
	Config    map[string]string // the settings that bear on mail; those that we may not read are missing
	GivesAway []string          // settings with a password that our login may read, which is not its own
	Ahead     time.Duration     // of its clock before ours; less than RoundTrip means nothing
	RoundTrip time.Duration     // of one command, the fastest of three
}

// healthSettings are what Health reads of the config.
var healthSettings = []string{"appendonly", "appendfsync", "no-appendfsync-on-rewrite", "maxmemory", "maxmemory-policy",
	"min-replicas-to-write", "stop-writes-on-bgsave-error", "save", "dir"}

// Answers says whether every server that keeps holds answers now. Ready believes for a while what it found.
func (s *Store) Answers(ctx context.Context) error {
	return s.byNode(ctx, func(ctx context.Context, node redis.UniversalClient, _ []keys) error {
		return explain(node.Ping(ctx).Err())
	})
}

// Health asks every server that keeps holds. With an error it returns what the others say.
func (s *Store) Health(ctx context.Context) (all []Health, err error) {
	var mu sync.Mutex
	err = s.byNode(ctx, func(ctx context.Context, node redis.UniversalClient, _ []keys) error {
		h, err := health(ctx, node)
		if err != nil {
			return explain(err)
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, h)
		return nil
	})
	return all, err
}

func health(ctx context.Context, node redis.UniversalClient) (h Health, err error) {
	text, err := node.Info(ctx, "default").Result()
	if err != nil {
		return h, err
	}
	h.Info, h.Config = infoFields(text), map[string]string{}
	if err := h.time(ctx, node); err != nil {
		return h, err
	}
	for _, name := range healthSettings {
		got, err := node.ConfigGet(ctx, name).Result()
		if err != nil && !answered(err) {
			return h, err
		}
		for name, value := range got {
			h.Config[strings.ToLower(name)] = value
		}
	}
	return h, h.secrets(ctx, node)
}

// secretSettings are those with a password in clear. CONFIG GET shows all settings to a login that may read one.
var secretSettings = []string{"requirepass", "masterauth", "tls-key-file-pass", "tls-client-key-file-pass"}

// secrets finds out which passwords of others our login may read; it keeps none.
func (h *Health) secrets(ctx context.Context, node redis.UniversalClient) error {
	for _, name := range secretSettings {
		got, err := node.ConfigGet(ctx, name).Result()
		if err != nil && !answered(err) {
			return err
		}
		if got[name] != "" {
			h.GivesAway = append(h.GivesAway, name)
		}
	}
	return nil
}

// time asks what time it is three times and keeps the fastest answer: one moment's pause says nothing.
func (h *Health) time(ctx context.Context, node redis.UniversalClient) error {
	for n := range 3 {
		began := time.Now()
		clock, err := node.Time(ctx).Result()
		if err != nil {
			return err
		}
		if took := time.Since(began); n == 0 || took < h.RoundTrip {
			h.RoundTrip, h.Ahead = took, clock.Sub(began.Add(took/2))
		}
	}
	return nil
}

// Overdue is what should have been taken up and was not.
type Overdue struct {
	Count int
	By    time.Duration // how long the first has waited for it
}

// OverdueHolds counts holds whose due moment is longer than grace ago.
func (s *Store) OverdueHolds(ctx context.Context, grace time.Duration) (Overdue, error) {
	return s.overdue(ctx, grace, func(at keys) string { return at.state(Held) })
}

// OverdueJobs counts jobs that should have been done longer than grace ago.
func (s *Store) OverdueJobs(ctx context.Context, grace time.Duration) (Overdue, error) {
	ours, err := s.overdue(ctx, grace, keys.jobs)
	if err != nil {
		return ours, err
	}
	theirs, err := s.overdue(ctx, grace, keys.askers) // one counts for all that its asker has
	return Overdue{Count: ours.Count + theirs.Count, By: max(ours.By, theirs.By)}, err
}

func (s *Store) overdue(ctx context.Context, grace time.Duration, name func(keys) string) (o Overdue, err error) {
	all, now, err := s.heads(ctx, name)
	if err != nil {
		return o, err
	}
	for _, h := range all {
		by := now.Sub(time.UnixMilli(int64(h.score)))
		if by <= grace {
			continue
		}
		n, err := s.redis.ZCount(ctx, name(h.at), "-inf", strconv.FormatInt(now.Add(-grace).UnixMilli(), 10)).Result()
		if err != nil {
			return o, explain(err)
		}
		o.Count, o.By = o.Count+int(n), max(o.By, by)
	}
	return o, nil
}
