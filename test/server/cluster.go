package server

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// Cluster is a private Redis Cluster.
type Cluster struct {
	Nodes []*Redis // the first three began as masters, the others as their replicas
}

// Addrs lists the addresses of all nodes.
func (c *Cluster) Addrs() (all []string) {
	for _, n := range c.Nodes {
		all = append(all, n.reached())
	}
	return all
}

// Masters lists the nodes that call themselves so.
func (c *Cluster) Masters() (all []*Redis) {
	for _, n := range c.Nodes {
		if isPrimary(n) {
			all = append(all, n)
		}
	}
	return all
}

// At is the node of an address.
func (c *Cluster) At(addr string) *Redis {
	for _, n := range c.Nodes {
		if n.reached() == addr {
			return n
		}
	}
	return nil
}

// Successor waits until there is a master that was none before, and returns it.
func (c *Cluster) Successor(t testing.TB, before []*Redis) (new *Redis) {
	t.Helper()
	Eventually(t, "a replica is master", func() bool {
		for _, m := range c.Masters() {
			if !slices.Contains(before, m) {
				new = m
			}
		}
		return new != nil
	})
	return new
}

// Times after which a server that is away is replaced. On a machine under load one may seem to be away for a while.
const (
	Soon  = 5 * time.Second
	Never = time.Hour
)

// StartCluster starts three masters, each with a replica, durable as the daemon demands. A master that is away for so
// long is replaced.
func StartCluster(t testing.TB, replaced time.Duration, extra ...string) *Cluster {
	t.Helper()
	return startCluster(t, replaced, nil, extra...)
}

// StartClusterTLS is StartCluster with TLS.
func StartClusterTLS(t testing.TB, replaced time.Duration, s TLS) *Cluster {
	t.Helper()
	if s.Host == "" {
		return startCluster(t, replaced, &s)
	}
	return startCluster(t, replaced, &s, "--cluster-announce-hostname", s.Host, "--cluster-preferred-endpoint-type",
		"hostname")
}

func startCluster(t testing.TB, replaced time.Duration, s *TLS, extra ...string) *Cluster {
	t.Helper()
	c, environ := &Cluster{}, diskless(t)
	args := append([]string{"--cluster-enabled", "yes", "--cluster-node-timeout", "2000",
		"--cluster-replica-validity-factor", "0", "--cluster-require-full-coverage", "no",
		"--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"}, extra...)
	for range 6 {
		// By itself a node takes the port 10000 above its own for the others, which an outgoing connection may have.
		_, bus, _ := strings.Cut(FreeAddr(t), ":")
		c.Nodes = append(c.Nodes, startSecure(t, environ, s, append([]string{"--cluster-port", bus}, args...)...))
	}
	create := append([]string{"--cluster", "create"}, c.Addrs()...)
	if s != nil {
		create = append([]string{"--tls", "--cacert", s.CA}, create...)
	}
	out, err := exec.Command(Program(t, "redis-cli"),
		append(create, "--cluster-replicas", "1", "--cluster-yes")...).CombinedOutput()
	if err != nil {
		t.Fatalf("no cluster: %v\n%s", err, out)
	}
	for _, n := range c.Nodes {
		Eventually(t, "all nodes of the cluster know each other", func() bool {
			return strings.Contains(n.Do("CLUSTER INFO"), "cluster_state:ok") &&
				strings.Contains(n.Do("CLUSTER INFO"), "cluster_known_nodes:6")
		})
	}
	for _, n := range c.Nodes { // not before: they look for each other the more often, the shorter it is
		n.Do(fmt.Sprint("CONFIG SET cluster-node-timeout ", replaced.Milliseconds()))
	}
	return c
}
