package holdstore

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// secured is how servers have TLS as the manual says, with a certificate of these names.
func secured(t *testing.T, names ...string) server.TLS {
	t.Helper()
	s := server.TLS{Certificates: server.MakeCertificates(t, names...)}
	for _, setting := range []string{"tls-auth-clients ", "tls-replication ", "tls-cluster "} {
		s.Settings = append(s.Settings, documented(t, setting))
	}
	return s
}

// With TLS and a login, on Sentinel and on Cluster, a message is held, claimed and settled, before a failover and after
// it.
func TestTLSAndALoginThroughAFailover(t *testing.T) {
	t.Parallel()
	c := secured(t, "redis.test")
	with := func(t *testing.T, o Options, nodes []*server.Redis) Options {
		login := loggedIn(t, nodes...)
		o.Username, o.Password, o.TLS, o.CAFile, o.ServerName, o.Replicas = login.Username, login.Password, true, c.CA,
			"redis.test", 1
		return o
	}
	t.Run("sentinel", func(t *testing.T) {
		t.Parallel()
		w := server.StartWatchedTLS(t, server.Soon, documented(t, sentinelLine), c)
		through(t, with(t, watched(w), w.Nodes), func() {
			w.Nodes[0].Kill()
			new := w.Successor(t, w.Nodes[0])
			// While a replica still follows the old one, that one must not come back: see docs/redis.md.
			server.Eventually(t, "the other replica follows the new primary", func() bool {
				return !slices.ContainsFunc(w.Nodes[1:], func(n *server.Redis) bool { return n != new && !n.Follows() })
			})
			w.Nodes[0].Start()
		})
	})
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		w := server.StartClusterTLS(t, server.Soon, c)
		through(t, with(t, Options{Addresses: w.Addrs()}, w.Nodes), func() {
			before := w.Masters()
			w.Nodes[0].Kill()
			w.Successor(t, before)
			w.Nodes[0].Start() // who succeeds it has no replica but this one
		})
	})
}

func through(t *testing.T, o Options, failover func()) {
	t.Helper()
	s := openWith(t, o)
	kept := map[string]string{} // of several senders: in several shards
	for _, mark := range []string{"a", "b", "c", "d", "e", "f"} {
		settled(t, s, mark)
		r, err := holdOne(s, "kept"+mark, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		kept[mark] = r.ID
	}
	failover()
	for mark, id := range kept {
		settled(t, s, "after "+mark)
		if h, err := s.Recall(t.Context(), id, alice); err != nil || h.State != Recalled {
			t.Errorf("recall: %+v, %v", h, err)
		}
	}
	o.ServerName = "else.test"
	if err := openWith(t, o).Ready(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("with another name: %v", err)
	} else {
		t.Log(err)
	}
}

// Without server_name a server must have the name by which it was met: that in the config, or what Sentinels and
// Clusters announce.
func TestACertificateHasTheNameThatIsAnnounced(t *testing.T) {
	t.Parallel()
	for name, host := range map[string]string{"127.0.0.1": "", "localhost": "localhost"} {
		c := secured(t, name)
		c.Host = host
		t.Run("sentinel "+name, func(t *testing.T) {
			t.Parallel()
			w := server.StartWatchedTLS(t, server.Never, "", c)
			o := watched(w)
			o.TLS, o.CAFile = true, c.CA
			settled(t, openWith(t, o), "m")
		})
		t.Run("cluster "+name, func(t *testing.T) {
			t.Parallel()
			w := server.StartClusterTLS(t, server.Never, c)
			settled(t, openWith(t, Options{Addresses: w.Addrs(), TLS: true, CAFile: c.CA}), "m")
		})
	}
}
