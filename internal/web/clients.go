package web

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/recall-milter/recall-milter/internal/recall"
)

// clientMost is how many connections, and how many requests at a time, one client has. Many people may be behind one
// address; eight clients have all connections.
const clientMost = 512

// reception accepts connections. One that is more than its client may have is closed at once. Proxies that are believed
// have as many as they need: behind them are others, whose requests are counted.
type reception struct {
	net.Listener
	s *Server
}

// Accept waits for a connection.
func (l reception) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		client, proxied := l.s.peer(c.RemoteAddr().String())
		if proxied {
			return c, nil
		}
		leave, ok := l.s.connections.enter(recall.ClientNetwork(client.String()))
		if ok {
			return &counted{Conn: c, leave: sync.OnceFunc(leave)}, nil
		}
		c.Close()
		l.s.crowded(client)
	}
}

// counted is a connection that its client has.
type counted struct {
	net.Conn
	leave func()
}

// Close ends the connection.
func (c *counted) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// sharing lets each client have so many requests at a time, also over one connection of HTTP/2, and behind a proxy that
// names its clients.
func (s *Server) sharing(inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if client := s.client(r); !s.o.Proxies.Contains(client) {
			leave, ok := s.requests.enter(recall.ClientNetwork(client.String()))
			if !ok {
				s.crowded(client)
				s.fail(w, r, tooMany(10))
				return
			}
			defer leave()
		}
		inner.ServeHTTP(w, r)
	})
}

// errCrowd tells an administrator what to do about a client that wants too much.
var errCrowd = errors.New("if it is your reverse proxy, list it in web.trusted_proxies")

// crowded logs once a minute that a client wants more than it may have.
func (s *Server) crowded(client netip.Addr) {
	now := s.now().UnixNano()
	if last := s.crowd.Load(); now-last > int64(time.Minute) && s.crowd.CompareAndSwap(last, now) {
		s.log.Trouble("the page refuses "+client.String()+" more connections or requests at a time", errCrowd)
	}
}

// client is the address of whoever asks, as the nearest proxy that is not believed says it.
func (s *Server) client(r *http.Request) netip.Addr {
	peer, proxied := s.peer(r.RemoteAddr)
	if !proxied {
		return peer
	}
	hops := forwarded(r)
	for n := len(hops) - 1; n >= 0; n-- {
		if peer = hops[n]; !s.o.Proxies.Contains(peer) {
			break
		}
	}
	return peer
}

// peer is the other end of a connection, and whether it is a proxy that is believed. A unix socket is one from this
// machine.
func (s *Server) peer(remote string) (netip.Addr, bool) {
	a, err := netip.ParseAddrPort(remote)
	if err != nil {
		local := netip.AddrFrom4([4]byte{127, 0, 0, 1})
		return local, s.o.Proxies.Contains(local)
	}
	return a.Addr().Unmap(), s.o.Proxies.Contains(a.Addr())
}

// forwarded lists the addresses of X-Forwarded-For, the client's first; an invalid one ends it.
func forwarded(r *http.Request) (hops []netip.Addr) {
	all := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for n := len(all) - 1; n >= 0 && n >= len(all)-maxHops; n-- {
		a, err := netip.ParseAddr(strings.TrimSpace(all[n]))
		if err != nil {
			break
		}
		hops = append([]netip.Addr{a.Unmap()}, hops...)
	}
	return hops
}

const maxHops = 10
