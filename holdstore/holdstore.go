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
// Failure rules: Commit answers without error only when Redis has made the hold durable (strict: the AOF is synced
// before the reply). A commit whose reply never came is fenced off by a tombstone, so that it can't come to life after
// the caller gave up on it. Whatever drains the store also works when the store is full.
package holdstore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"golang.org/x/sync/semaphore"
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

// Times that are part of the protocol with Redis.
const (
	leaseTime   = time.Minute
	dialTimeout = 3 * time.Second
	ioTimeout   = 10 * time.Second // of one read or write, when the context has no earlier deadline
)

// Store is a client of the hold store. Safe for concurrent use.
type Store struct {
	opt    Options
	shards []keys
	redis  redis.UniversalClient
	seal   *sealer
	lease  time.Duration // shorter in tests

	ctx    context.Context // of the background work; ended by Close
	cancel context.CancelFunc
	work   sync.WaitGroup

	admissions map[keys]*admission // by shard
	durable    durability
	memory     memory
	staging    staging
	searches   searches
	lines      map[keys]*convoy[*commit] // by shard
	clocks     map[keys]*clock
	settles    map[keys]*convoy[*settling]
	confirmed  confirmations
	rests      rests
	primary    primary
	defects    func(what string, v any, stack []byte) // nil: nobody listens
	scanned    scan                                   // where Reap's slow walk over all holds stands
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
	if len(o.Addresses) == 0 {
		return nil, errors.New("no redis address: give host:port or unix:/path")
	}
	s := &Store{opt: o, lease: leaseTime}
	var err error
	if s.seal, err = newSealer(o.SealKeys); err != nil {
		return nil, err
	}
	redis.SetLogger(silent{})
	u, err := s.universal(o)
	if err != nil {
		return nil, err
	}
	s.redis = redis.NewUniversalClient(u)
	if c, ok := s.redis.(*redis.ClusterClient); ok {
		c.OnNewNode(func(node *redis.Client) { node.AddHook(shortLook{}) })
		c.Options().DisableRoutingPolicies = true // else it asks any server, be it one that hangs, for a description of all commands
	} else if o.SentinelMaster != "" {
		s.redis.AddHook(&s.primary)
	}
	s.shards = shardsOf(s.redis, o.Prefix)
	s.admissions, s.clocks = map[keys]*admission{}, map[keys]*clock{}
	s.lines, s.settles = map[keys]*convoy[*commit]{}, map[keys]*convoy[*settling]{}
	for _, at := range s.shards {
		s.admissions[at], s.clocks[at], s.lines[at] = &admission{}, &clock{}, s.commits(at)
		s.settles[at] = &convoy[*settling]{most: settleMost, goes: 1, send: func(all []*settling) error { return s.settleBatch(at, all) }}
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.searches = searches{semaphore.NewWeighted(searchBytes)}
	s.staging = staging{s: s, of: map[string]int64{}}
	s.confirmed = confirmations{of: map[keys][]confirmation{}, away: map[keys][]confirmation{}, bell: make(chan struct{}, 1)}
	s.work.Go(s.confirmLoop)
	return s, nil
}

// universal makes the options of go-redis, whose client never repeats a command by itself: a commit or a claim whose reply was lost
// may have been done, and only this package knows what to do about it.
func (s *Store) universal(o Options) (*redis.UniversalOptions, error) {
	u := &redis.UniversalOptions{
		MasterName: o.SentinelMaster, Username: o.Username, Password: o.Password, DB: o.DB,
		MaxRetries: -1, DialTimeout: dialTimeout, ReadTimeout: ioTimeout, WriteTimeout: ioTimeout,
		ContextTimeoutEnabled: true, DisableIdentity: true, PoolSize: 64, DialerRetries: 1,
		// A new connection may lead to another server, or to the same one with another config.
		OnConnect: func(ctx context.Context, c *redis.Conn) error { s.durable.forget(); return o.login(ctx, c) },
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	}
	for _, a := range o.Addresses {
		u.Addrs = append(u.Addrs, strings.TrimPrefix(a, "unix:"))
	}
	if path, ok := strings.CutPrefix(o.Addresses[0], "unix:"); ok {
		u.Dialer = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "unix", path)
		}
	}
	if o.TLS {
		c := &tls.Config{ServerName: o.ServerName, MinVersion: tls.VersionTLS12}
		if o.CAFile != "" {
			pem, err := os.ReadFile(o.CAFile)
			if err != nil {
				return nil, fmt.Errorf("redis tls ca_file: %w", err)
			}
			c.RootCAs = x509.NewCertPool()
			if !c.RootCAs.AppendCertsFromPEM(pem) {
				return nil, fmt.Errorf("redis tls ca_file: %s holds no certificate in PEM form", o.CAFile)
			}
		}
		u.TLSConfig = c
	}
	return u, nil
}

// login gives a Sentinel that asks for one the login that Redis has; go-redis has done it at Redis itself.
func (o Options) login(ctx context.Context, c *redis.Conn) error {
	if o.SentinelMaster == "" || o.Password == "" || !redis.HasErrorPrefix(c.Ping(ctx).Err(), "NOAUTH") {
		return nil
	}
	if o.Username == "" {
		return c.Auth(ctx, o.Password).Err()
	}
	return c.AuthACL(ctx, o.Username, o.Password).Err()
}

// passing is a hook of go-redis that changes nothing.
type passing struct{}

func (passing) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (passing) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (passing) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// shortLook keeps the client of a Cluster from asking a server that hangs where everything is.
type shortLook struct{ passing }

// ProcessHook bounds the time for CLUSTER SLOTS.
func (shortLook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "cluster" {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, headTime)
			defer cancel()
		}
		return next(ctx, cmd)
	}
}

// primary remembers where the Sentinels have led last.
type primary struct {
	passing
	addr atomic.Pointer[string]
}

// DialHook looks at each connection that is made.
func (p *primary) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		if err == nil {
			at := conn.RemoteAddr().String()
			p.addr.Store(&at)
		}
		return conn, err
	}
}

// Close ends the background work of the store and its connections.
func (s *Store) Close() error {
	s.cancel()
	s.work.Wait()
	defer s.seal.close()
	return s.redis.Close()
}

// silent keeps go-redis from writing lines of its own: whatever it tells comes back as an error too.
type silent struct{}

// Printf does nothing.
func (silent) Printf(context.Context, string, ...any) {}
