package authenticate

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

// Bounds of what one message may ask of DNS, and of what is kept of the answers.
const (
	lookupTime  = 3 * time.Second
	maxLookups  = 40      // of one message; SPF alone may want 10 with up to 10 addresses each
	maxAnswer   = 8 << 10 // bytes of one TXT answer; a DKIM key of 4096 bits has 800
	maxCached   = 10000
	keepAnswer  = 5 * time.Minute
	keepFailure = time.Minute // that a name does not exist; failures of DNS itself are not kept
)

// Resolver asks DNS, with time-outs and a cache. Safe for concurrent use.
type Resolver struct {
	net *net.Resolver

	mu    sync.Mutex
	cache map[string]cached
}

type cached struct {
	answer []string
	err    error
	until  time.Time
}

// NewResolver asks the server at address (host:port), or the system's when it is empty.
func NewResolver(address string) *Resolver {
	r := &Resolver{net: &net.Resolver{PreferGo: true}, cache: map[string]cached{}}
	if address != "" {
		r.net.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: lookupTime}).DialContext(ctx, network, address)
		}
	}
	return r
}

// query is the DNS of one message: it counts, and it ends with the message's context. It is the DNSResolver of SPF.
type query struct {
	ctx context.Context
	r   *Resolver

	mu   sync.Mutex
	left int
}

func (r *Resolver) query(ctx context.Context) *query { return &query{ctx: ctx, r: r, left: maxLookups} }

// ask answers from the cache, or asks.
func (q *query) ask(kind, name string, lookup func(context.Context, string) ([]string, error)) ([]string, error) {
	name = holdstore.Fold(strings.TrimSuffix(name, "."))
	key := kind + " " + name
	q.r.mu.Lock()
	c, ok := q.r.cache[key]
	q.r.mu.Unlock()
	if ok && time.Now().Before(c.until) {
		return c.answer, c.err
	}
	q.mu.Lock()
	q.left--
	spent := q.left < 0
	q.mu.Unlock()
	if spent {
		return nil, &net.DNSError{Err: "too many look-ups for one message", Name: name}
	}
	ctx, cancel := context.WithTimeout(q.ctx, lookupTime)
	defer cancel()
	answer, err := lookup(ctx, name)
	if size := len(strings.Join(answer, "")); err == nil && size > maxAnswer {
		answer, err = nil, &net.DNSError{Err: "answer too large", Name: name}
	}
	q.r.keep(key, answer, err)
	return answer, err
}

func (r *Resolver) keep(key string, answer []string, err error) {
	until := time.Now().Add(keepAnswer)
	if err != nil {
		var no *net.DNSError
		if !errors.As(err, &no) || !no.IsNotFound {
			return
		}
		until = time.Now().Add(keepFailure)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.cache) >= maxCached {
		clear(r.cache)
	}
	r.cache[key] = cached{answer, err, until}
}

// LookupTXT returns the TXT records of a name.
func (q *query) LookupTXT(_ context.Context, name string) ([]string, error) {
	return q.ask("TXT", name, func(ctx context.Context, name string) ([]string, error) {
		return q.r.net.LookupTXT(ctx, name+".")
	})
}

// txt is LookupTXT as DKIM and DMARC want it.
func (q *query) txt(name string) ([]string, error) { return q.LookupTXT(q.ctx, name) }

// LookupMX returns the mail exchangers of a domain.
func (q *query) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	hosts, err := q.ask("MX", name, func(ctx context.Context, name string) ([]string, error) {
		records, err := q.r.net.LookupMX(ctx, name+".")
		var hosts []string
		for _, mx := range records {
			hosts = append(hosts, mx.Host)
		}
		return hosts, err
	})
	var records []*net.MX
	for _, host := range hosts {
		records = append(records, &net.MX{Host: host})
	}
	return records, err
}

// LookupIPAddr returns the addresses of a host.
func (q *query) LookupIPAddr(_ context.Context, name string) ([]net.IPAddr, error) {
	texts, err := q.ask("A", name, func(ctx context.Context, name string) ([]string, error) {
		return q.r.net.LookupHost(ctx, name+".")
	})
	var addresses []net.IPAddr
	for _, text := range texts {
		addresses = append(addresses, net.IPAddr{IP: net.ParseIP(text)})
	}
	return addresses, err
}

// LookupAddr returns the names of an address.
func (q *query) LookupAddr(_ context.Context, address string) ([]string, error) {
	return q.ask("PTR", address, q.r.net.LookupAddr)
}
