package nodes

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Times that are part of the protocol with Redis.
const (
	dialTimeout = 3 * time.Second
	IOTimeout   = 10 * time.Second // of one read or write, when the context has no earlier deadline
)

// universal makes the options of go-redis, whose client never repeats a command by itself: a commit or a claim whose
// reply was lost may have been done, and only this package knows what to do about it.
func (ns *Nodes) universal(o Options) (*redis.UniversalOptions, error) {
	u := &redis.UniversalOptions{
		MasterName: o.SentinelMaster, Username: o.Username, Password: o.Password, DB: o.DB,
		MaxRetries: -1, DialTimeout: dialTimeout, ReadTimeout: IOTimeout, WriteTimeout: IOTimeout,
		ContextTimeoutEnabled: true, DisableIdentity: true, PoolSize: 64, DialerRetries: 1,
		// A new connection may lead to another server, or to the same one with another config.
		OnConnect: func(ctx context.Context, c *redis.Conn) error { ns.durable.forget(); return o.login(ctx, c) },
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

// login logs in at a Sentinel that asks for it, with the login of Redis; go-redis does so only at Redis itself.
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

// shortLook keeps the client of a Cluster from waiting long for a server that hangs when it asks where the shards are.
type shortLook struct{ passing }

// ProcessHook bounds the time for CLUSTER SLOTS.
func (shortLook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "cluster" {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, HeadTime)
			defer cancel()
		}
		return next(ctx, cmd)
	}
}

// primary remembers the address to which the Sentinels led last.
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

// quiet keeps go-redis from writing log lines of its own: it returns the same as errors.
type quiet struct{}

// Printf does nothing.
func (quiet) Printf(context.Context, string, ...any) {}
