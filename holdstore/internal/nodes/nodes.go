// Package nodes knows the Redis servers of a store: which one has what, whether it is alive, whether what it is told
// stays, and whether its data has our layout. It knows nothing of mail.
//
// A store is divided into shards, one in a single Redis and 64 in a Cluster. What belongs together in one script is in
// one shard. Scripts run by Run; those that somebody relies on by RunDurable, which also waits for the disk and for
// replicas. Neither repeats a command whose reply was lost: it may have been done, and only the caller knows what to do
// about it.
package nodes

import (
	"context"
	"errors"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Options say how to reach Redis and what to demand of it.
type Options struct {
	Addresses      []string // host:port or unix:/path; several: Cluster, or with SentinelMaster: Sentinel
	SentinelMaster string
	Username       string
	Password       string
	DB             int
	Prefix         string // of all key names
	Durability     string // strict | assumed | relaxed
	Replicas       int    // acknowledgements to wait for on each hold
	TLS            bool
	CAFile         string
	ServerName     string

	Upgrades map[int]Upgrade // from each older layout to the next
}

func (o Options) strict() bool { return o.Durability != "assumed" && o.Durability != "relaxed" }

// Nodes are the servers of one store. Safe for concurrent use.
type Nodes struct {
	Client redis.UniversalClient
	Shards []Shard

	opt    Options
	ctx    context.Context // of the background work; ended by Close
	cancel context.CancelFunc
	work   sync.WaitGroup

	admissions map[Shard]*admission
	durable    durability
	memory     memory
	silent     unresponsive
	primary    primary
	defects    func(what string, v any, stack []byte) // nil: nobody listens
}

// Open makes the client; it does not need Redis to be there. An error is one of the options'.
func Open(o Options) (*Nodes, error) {
	if len(o.Addresses) == 0 {
		return nil, errors.New("no redis address: give host:port or unix:/path")
	}
	ns := &Nodes{opt: o}
	redis.SetLogger(quiet{})
	u, err := ns.universal(o)
	if err != nil {
		return nil, err
	}
	ns.Client = redis.NewUniversalClient(u)
	if c, ok := ns.Client.(*redis.ClusterClient); ok {
		c.OnNewNode(func(node *redis.Client) { node.AddHook(shortLook{}) })
		// else it asks any server, be it one that hangs, for a description of all commands
		c.Options().DisableRoutingPolicies = true
	} else if o.SentinelMaster != "" {
		ns.Client.AddHook(&ns.primary)
	}
	ns.Shards = shardsOf(ns.Client, o.Prefix)
	ns.admissions = map[Shard]*admission{}
	for _, at := range ns.Shards {
		ns.admissions[at] = &admission{}
	}
	ns.ctx, ns.cancel = context.WithCancel(context.Background())
	return ns, nil
}

// Close ends the background work and the connections.
func (ns *Nodes) Close() error {
	ns.cancel()
	ns.work.Wait()
	return ns.Client.Close()
}
