package server

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Watched is a primary with replicas that Sentinels watch. Every server is known to the others by a proxy in front of
// it, so that it can be cut off while it runs.
type Watched struct {
	Nodes     []*Redis // the first began as the primary
	Fronts    []*Proxy // of the nodes
	Sentinels []*Redis
}

// SentinelName is what the Sentinels call the primary.
const SentinelName = "holds"

// StartWatched starts a primary, two replicas and three Sentinels, who replace a primary that is away for so long.
// user, a line "user NAME rules", is who may ask the Sentinels; empty: everybody. extra are settings of the nodes.
func StartWatched(t testing.TB, replaced time.Duration, user string, extra ...string) *Watched {
	t.Helper()
	return startWatched(t, replaced, user, nil, extra...)
}

// StartWatchedTLS is StartWatched with TLS, for the Sentinels too.
func StartWatchedTLS(t testing.TB, replaced time.Duration, user string, s TLS) *Watched {
	t.Helper()
	return startWatched(t, replaced, user, &s)
}

func startWatched(t testing.TB, replaced time.Duration, user string, secure *TLS, extra ...string) *Watched {
	t.Helper()
	w, login, environ := &Watched{}, "", diskless(t)
	if user != "" {
		login = "sentinel secret" // of the Sentinels among themselves
	}
	for n := range 3 {
		front := StartProxy(t)
		host, port, _ := strings.Cut(secure.hosted(front.Addr), ":")
		args := []string{"--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1", "--repl-timeout", "5",
			"--replica-announce-ip", host, "--replica-announce-port", port}
		if n > 0 {
			first, at, _ := strings.Cut(secure.hosted(w.Fronts[0].Addr), ":")
			args = append(args, "--replicaof", first+" "+at)
		}
		node := startSecure(t, environ, secure, append(args, extra...)...)
		front.To(node.reached())
		w.Nodes, w.Fronts = append(w.Nodes, node), append(w.Fronts, front)
	}
	for _, n := range w.Nodes[1:] {
		Eventually(t, "the replica follows", n.Follows)
	}
	for range 3 {
		w.Sentinels = append(w.Sentinels, startSentinel(t, replaced, secure, w.Fronts[0].Addr, user, login))
	}
	for _, s := range w.Sentinels {
		Eventually(t, "the Sentinels know each other and the replicas", func() bool {
			reply := s.ask(login, "SENTINEL MASTER "+SentinelName)
			return field(reply, "num-slaves") == "2" && field(reply, "num-other-sentinels") == "2"
		})
	}
	return w
}

// Follows says whether a server is a replica that has all that its primary had.
func (r *Redis) Follows() bool {
	return strings.Contains(r.ask("", "INFO replication"), "master_link_status:up")
}

// FollowsOne says whether a server is a replica of that one.
func (r *Redis) FollowsOne(primary *Redis) bool {
	_, port, _ := strings.Cut(primary.Addr, ":")
	return strings.Contains(r.ask("", "INFO replication"), "master_port:"+port+"\r")
}

// Offset is how much the server has written for its replicas, in bytes.
func (r *Redis) Offset() (n int) {
	_, text, _ := strings.Cut(r.ask("", "INFO replication"), "master_repl_offset:")
	fmt.Sscan(text, &n)
	return n
}

// Addrs lists the addresses of the Sentinels.
func (w *Watched) Addrs() (all []string) {
	for _, s := range w.Sentinels {
		all = append(all, s.reached())
	}
	return all
}

// Primary is a node that calls itself so, leaving one out; nil: there is none.
func (w *Watched) Primary(except ...*Redis) *Redis {
	for _, n := range w.Nodes {
		if !slices.Contains(except, n) && isPrimary(n) {
			return n
		}
	}
	return nil
}

// Front is where the others meet a node.
func (w *Watched) Front(n *Redis) string { return w.Fronts[slices.Index(w.Nodes, n)].Addr }

// Successor waits until another node than this one is the primary, and returns it.
func (w *Watched) Successor(t testing.TB, of *Redis) (new *Redis) {
	t.Helper()
	Eventually(t, "another is the primary", func() bool { new = w.Primary(of); return new != nil })
	return new
}

func isPrimary(n *Redis) bool { return strings.Contains(n.ask("", "INFO replication"), "role:master") }

// field is the value behind a name in a reply that lists names and values.
func field(reply, name string) string {
	_, rest, _ := strings.Cut(reply, "\r\n"+name+"\r\n")
	lines := strings.SplitN(rest, "\r\n", 3)
	if len(lines) < 2 {
		return ""
	}
	return lines[1]
}

func startSentinel(t testing.TB, replaced time.Duration, secure *TLS, primary, user, login string) *Redis {
	t.Helper()
	host, port, _ := strings.Cut(secure.hosted(primary), ":")
	names := map[bool]string{true: "yes", false: "no"}[secure != nil && secure.Host != ""]
	conf := fmt.Sprintf("sentinel resolve-hostnames %[5]s\nsentinel announce-hostnames %[5]s\nsentinel monitor %[1]s "+
		"%[2]s %[3]s 2\nsentinel down-after-milliseconds %[1]s %[4]d\n"+
		"sentinel failover-timeout %[1]s 6000\nsentinel parallel-syncs %[1]s 2\n", SentinelName, host, port,
		replaced.Milliseconds(), names)
	if name, password, ok := strings.Cut(login, " "); ok {
		conf += fmt.Sprintf("user default off\n%s\nuser %[2]s on >%[3]s ~* &* +@all\nsentinel sentinel-user "+
			"%[2]s\nsentinel sentinel-pass %[3]s\n", user, name, password)
	}
	r := &Redis{t: t, Dir: t.TempDir(), Addr: FreeAddr(t)}
	if secure != nil {
		r.Secure = secure.hosted(FreeAddr(t))
		conf += strings.Join(secure.lines(r.Secure), "\n") + "\n"
	}
	file := filepath.Join(r.Dir, "sentinel.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	_, own, _ := strings.Cut(r.Addr, ":")
	r.args = []string{file, "--sentinel", "--port", own, "--bind", "127.0.0.1", "--dir", r.Dir, "--logfile",
		filepath.Join(r.Dir, "sentinel.log")}
	r.Start()
	t.Cleanup(r.Kill)
	return r
}
