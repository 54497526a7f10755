// Package holdstore keeps messages in Redis between the MTA's 250 and their release or recall.
//
//	           +--------- retry (Settle, GiveBack, expired lease) -----+
//	           v                                                       |
//	Put --> held --Claim (lease)--> releasing --Settle (all done)--> released
//	         |  \
//	         |   +-- Release: due = now;  Extend: due += d
//	         +--Recall--> recalled --Restore--> held
//
// Every arrow is one Lua script, hence atomic: a recall and a release can never both win. Moments are Redis's own
// TIME, taken inside the scripts, so the clocks of several gateways do not matter.
//
// The files follow a message's life: hold (the nouns), put, commit, confirm; wake, claim, content, settle, park;
// recall, ticket, bulk, replace, pause; find, latest, samesubject, query, pager; jobs, requests; remembered, unheld
// and correspondents (what is remembered of other mail); addresses, owner, quota and rate (whose a hold is, and what
// they may have and do), firstuse; tokens (what page and API remember); trail, left, stats, reap, damage, fsck.
// record, keys and result say what is stored and answered, secret and sealkeys with what, batcher and scripts how Lua
// is put together and called, errors and checks what can be wrong. Below them are nodes (which server, is it durable),
// seal (pure cryptography) and holdid.
//
// Failure rules: Commit answers without error only when Redis has made the hold durable (strict: the AOF is synced
// before the reply). A commit whose reply never came is fenced off by a tombstone, so that it can't come to life after
// the caller gave up on it. Whatever drains the store also works when the store is full.
package holdstore

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
	"github.com/recall-milter/recall-milter/holdstore/internal/seal"
)

// Options say how to reach Redis and what to demand of it.
type Options struct {
	Addresses       []string // host:port or unix:/path; several: Cluster, or with SentinelMaster: Sentinel
	SentinelMaster  string
	Username        string
	Password        string
	DB              int
	Prefix          string // of all key names; empty: "recall"
	Durability      string // strict | assumed | relaxed
	Replicas        int    // acknowledgements to wait for on each hold
	TLS             bool
	CAFile          string
	ServerName      string
	RecallRetention time.Duration // how long a recalled hold keeps its content; 0: 24 hours
	RecordRetention time.Duration // how long the record of a released or recalled hold is kept; 0: 7 days
	SealKeys        [][]byte      // of 32 bytes; the first seals content, all open; none: content is not sealed
}

// leaseTime is how long a claimed hold stays with a daemon that does not renew it. Then, up to a round of Reap later,
// another gateway sends what a daemon that died was sending; what the port took meanwhile arrives twice.
const leaseTime = time.Minute

// Store is a client of the hold store. Safe for concurrent use.
type Store struct {
	opt   Options
	nodes *nodes.Nodes
	seal  *seal.Sealer
	lease time.Duration // shorter in tests

	ctx    context.Context // of the background work; ended by Close
	cancel context.CancelFunc
	work   sync.WaitGroup

	room      room
	staging   staging
	searches  searches
	commits   map[nodes.Shard]*batcher[*commit] // by shard
	settles   map[nodes.Shard]*batcher[*settling]
	confirmed confirmations
	damaged   func(line string) // nil: nobody listens
	scanned   scan              // where Reap's slow walk over all holds stands
}

// Open makes the client; it does not need Redis to be there. An error is one of the options'.
func Open(o Options) (*Store, error) {
	if o.Prefix == "" {
		o.Prefix = "recall"
	}
	if o.RecallRetention <= 0 {
		o.RecallRetention = 24 * time.Hour
	}
	if o.RecordRetention <= 0 {
		o.RecordRetention = 7 * 24 * time.Hour
	}
	s := &Store{opt: o, lease: leaseTime}
	var err error
	if s.seal, err = seal.New(o.SealKeys); err != nil {
		return nil, err
	}
	if s.nodes, err = nodes.Open(o.servers()); err != nil {
		return nil, err
	}
	s.nodes.Client.AddHook(healer{s})
	s.commits = map[nodes.Shard]*batcher[*commit]{}
	s.settles = map[nodes.Shard]*batcher[*settling]{}
	for _, at := range s.nodes.Shards {
		s.commits[at] = s.newCommits(at)
		s.settles[at] = &batcher[*settling]{most: settleMost, goes: 1,
			send: func(all []*settling) error { return s.settleBatch(at, all) }}
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.searches = searches{semaphore.NewWeighted(searchBytes)}
	s.staging = staging{s: s, of: map[string]int64{}}
	s.confirmed = confirmations{of: map[nodes.Shard][]confirmation{}, away: map[nodes.Shard][]confirmation{},
		bell: make(chan struct{}, 1)}
	s.work.Go(s.confirmLoop)
	return s, nil
}

// servers are those of the options that package nodes needs.
func (o Options) servers() nodes.Options {
	return nodes.Options{
		Addresses: o.Addresses, SentinelMaster: o.SentinelMaster,
		Username: o.Username, Password: o.Password, DB: o.DB, Prefix: o.Prefix,
		Durability: o.Durability, Replicas: o.Replicas,
		TLS: o.TLS, CAFile: o.CAFile, ServerName: o.ServerName,
		Upgrades: upgrades,
	}
}

// Close ends the background work of the store and its connections.
func (s *Store) Close() error {
	s.cancel()
	s.work.Wait()
	defer s.seal.Close()
	return s.nodes.Close()
}

// Abandon closes all connections at once, so that calls that wait for an answer fail. Close is still to be called.
func (s *Store) Abandon() error { return s.nodes.Close() }

// recordTime is how long a record is kept: at least as long as the content of a recalled hold.
func (s *Store) recordTime() time.Duration { return max(s.opt.RecordRetention, s.opt.RecallRetention) }

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// upgrades has the step from each older layout to the next, see nodes.Layout. It is empty: layout 1 is the first that
// was released.
var upgrades = map[int]nodes.Upgrade{}
