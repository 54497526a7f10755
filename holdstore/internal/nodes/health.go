package nodes

import (
	"context"
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

// Ping says whether every server that keeps holds answers now.
func (ns *Nodes) Ping(ctx context.Context) error {
	return ns.ByNode(ctx, func(ctx context.Context, node redis.UniversalClient, _ []Shard) error {
		return Explain(node.Ping(ctx).Err())
	})
}

// writing is a script that does nothing, and that Redis refuses as it refuses what writes: when its memory is full,
// when it can't write to its disk, when it has too few replicas, or is one.
var writing = NewScript(func() string { return "#!lua\nreturn 1" })

// Writable says whether every server that keeps holds answers, and takes what is written now.
func (ns *Nodes) Writable(ctx context.Context) error {
	return ns.ByNode(ctx, func(ctx context.Context, node redis.UniversalClient, _ []Shard) error {
		return Explain(writing.made().Run(ctx, node, nil).Err())
	})
}

// Answers says within dialTimeout whether the only server answers anything; nil in a Cluster.
func (ns *Nodes) Answers(ctx context.Context) error {
	if len(ns.Shards) > 1 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	err := ns.Client.Ping(ctx).Err()
	if Answered(err) {
		return nil // what it says counts for each command
	}
	if node, wrong := ns.Node(ctx, ns.Shards[0]); wrong == nil {
		err = ns.saidBy(node, err)
	}
	return Explain(err)
}

// Health asks every server that keeps holds. With an error it returns what the others say.
func (ns *Nodes) Health(ctx context.Context) (all []Health, err error) {
	var mu sync.Mutex
	err = ns.ByNode(ctx, func(ctx context.Context, node redis.UniversalClient, _ []Shard) error {
		h, err := health(ctx, node)
		if err != nil {
			return Explain(err)
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
		if err != nil && !Answered(err) {
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
		if err != nil && !Answered(err) {
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
