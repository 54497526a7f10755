package test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/server"
)

// healthy starts a gateway in which doctor finds nothing, with these lines of config in addition to the usual ones.
func healthy(t *testing.T, grace string) *gateway {
	t.Helper()
	names := server.StartDNS(t)
	var milter string
	var postfix *server.Postfix
	g := startGatewayWith(t, grace, func(at, nextHop string) mta {
		milter = at
		postfix = server.StartPostfix(t, at, nextHop, "non_smtpd_milters = inet:"+milter, "message_size_limit = 52428800")
		return ofPostfix(postfix)
	})
	g.postfix = postfix
	g.change("[http]\nlisten = \"\"\n",
		"[http]\nlisten = \""+server.FreeAddr(t)+"\"\n[inbound]\ndns = \""+names.Addr+"\"\n")
	g.restartDaemon()
	server.Aged(t, filepath.Join(g.postfix.Dir, "conf/main.cf"))
	server.Aged(t, filepath.Join(g.postfix.Dir, "conf/master.cf"))
	return g
}

func (g *gateway) restartDaemon() {
	g.killDaemon()
	g.startDaemon()
}

// doctor runs recallctl doctor and returns the names of what is not well, and the exit code.
func (g *gateway) doctor(args ...string) (checks []string, code int) {
	g.t.Helper()
	out, code := g.ctl(append([]string{"--json", "doctor", "--postfix", filepath.Join(g.postfix.Dir, "conf")}, args...)...)
	checks = []string{}
	for line := range strings.Lines(out) {
		var f struct{ Check, Level, Text, Fix string }
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			g.t.Fatalf("%q: %v", line, err)
		}
		if f.Level == "warning" || f.Level == "error" {
			checks = append(checks, f.Check)
			if f.Text == "" || f.Fix == "" {
				g.t.Errorf("a finding without words or fix: %s", line)
			}
		}
	}
	return checks, code
}

// finds wants doctor to find exactly these.
func (g *gateway) finds(want string, code int, args ...string) {
	g.t.Helper()
	var got []string
	var exit int
	server.Eventually(g.t, "Redis is as fast as doctor demands, on a machine under load", func() bool {
		got, exit = g.doctor(args...)
		return !slices.Contains(got, "redis.slow")
	})
	if want != "daemon.stale" { // most of what is broken is broken in the config, and the daemon is not told
		got = slices.DeleteFunc(got, func(check string) bool { return check == "daemon.stale" })
	}
	if strings.Join(got, " ") != want || exit != code {
		g.t.Errorf("doctor found %v, exit %d; want %q, exit %d", got, exit, want, code)
	}
}

// Each fault of a running gateway is broken by itself, and doctor names it and nothing else; once it is fixed, nothing
// is left.
func TestDoctorNamesEachFaultOfAGateway(t *testing.T) {
	t.Parallel()
	g := healthy(t, "1h")
	g.finds("", 0)
	conf, err := os.ReadFile(g.conf)
	g.must(err)
	asBefore := func() { g.must(os.WriteFile(g.conf, conf, 0o600)) }
	config := func(from, to string) func() { return func() { g.change(from, to) } }
	redis := func(command string) func() { return func() { g.redis.Do(command) } }
	elsewhere := func(prefix, command string) func() { // a store of its own, with nobody who takes up what is in it
		return func() {
			g.change("[redis]", "[redis]\nprefix = \""+prefix+"\"")
			g.redis.Do(command)
		}
	}
	var ended func()
	for _, c := range []struct {
		name        string
		broken, fix func()
		want        string
		code        int
	}{
		{"redis away", g.redis.Kill, g.redis.Start, "redis.reachable", 2},
		{"redis hangs", g.redis.Pause, g.redis.Resume, "redis.reachable", 2},
		{"password", redis("CONFIG SET requirepass secret"), redis("AUTH secret\r\nCONFIG SET requirepass \"\""),
			"redis.allowed", 2},
		{"no append-only file", redis("CONFIG SET appendonly no"), g.appends, "redis.durable", 2},
		{"appendfsync", redis("CONFIG SET appendfsync everysec"), redis("CONFIG SET appendfsync always"), "redis.durable", 2},
		{"eviction", redis("CONFIG SET maxmemory-policy allkeys-lru"), redis("CONFIG SET maxmemory-policy noeviction"),
			"redis.durable", 2},
		{"no fsync while rewriting", redis("CONFIG SET no-appendfsync-on-rewrite yes"),
			redis("CONFIG SET no-appendfsync-on-rewrite no"), "redis.durable", 2},
		{"relaxed", config("[redis]", "[redis]\ndurability = \"relaxed\""), asBefore, "redis.advice", 1},
		{"assumed too much", func() {
			g.change("[redis]", "[redis]\ndurability = \"assumed\"")
			g.redis.Do("CONFIG SET appendfsync everysec")
		}, func() { asBefore(); g.redis.Do("CONFIG SET appendfsync always") }, "redis.assumed", 1},
		{"a replica", redis("REPLICAOF 127.0.0.1 1"), redis("REPLICAOF NO ONE"), "redis.role", 2},
		{"memory nearly full", g.nearlyFull, redis("CONFIG SET maxmemory 0"), "redis.memory", 2},
		{"replicas that Redis wants", redis("CONFIG SET min-replicas-to-write 1"),
			redis("CONFIG SET min-replicas-to-write 0"), "redis.min-replicas daemon.ready", 2},
		// and Redis itself does not insist on them
		{"replicas that we want", config("[redis]", "[redis]\nreplicas = 1"), asBefore, "redis.advice redis.replicas", 2},
		{"snapshots fail", g.failingSnapshot, g.goodSnapshot, "redis.snapshot", 2},
		{"paused", func() { g.ctl("pause") }, func() { g.ctl("resume") }, "holds.paused", 1},
		{"overdue", elsewhere("one", "ZADD one:{mh0}:z:held 1000 2222222222222"), asBefore, "holds.overdue", 2},
		{"a job overdue", elsewhere("two", "ZADD two:{mh0}:jobs 1000 job"), asBefore, "holds.jobs", 1},
		{"key missing", g.sealedHold, asBefore, "holds.key", 2},
		{"daemon down", g.killDaemon, g.startDaemon, "daemon.listen", 2},
		{"another server in its place", func() { g.killDaemon(); ended = stranger(t, g.milter) },
			func() { ended(); g.startDaemon() }, "daemon.other", 2},
		{"monitoring elsewhere", config("[http]\nlisten = \"", "[http]\nlisten = \""+server.FreeAddr(t)+"\" #"), asBefore,
			"daemon.http", 1},
		{"daemon can't hold", func() {
			g.change(g.redis.Addr, "127.0.0.1:1")
			g.restartDaemon()
			asBefore()
		}, g.restartDaemon, "daemon.ready", 2},
		{"Postfix stopped", g.postfix.Kill, g.postfix.Start, "postfix.stopped", 2},
		{"port of nobody", config(g.mta.reinject, "127.0.0.1:1"), asBefore, "postfix.port", 2},
		{"port of our own", config("smtp = \""+g.mta.reinject, "smtp = \""+g.milter), asBefore, "port.ours", 2},
		{"unheld without Redis", config("listen = [\"inet", "on_store_failure = \"deliver\"\nlisten = [\"inet"), asBefore,
			"config.deliver", 1},
		{"nothing outbound", config("[hold]", "[outbound]\nauthenticated = false\nnetworks = []\ndaemon_names = []\n[hold]"),
			asBefore, "config.outbound postfix.networks", 2},
		{"certificates that are none", config("[redis]", "[redis]\ntls = { enabled = true, ca_file = \"/etc/passwd\" }"),
			asBefore, "redis.config", 2},
		{"a user who may not ask", redis("ACL SETUSER default -time"), redis("ACL SETUSER default +time"), "redis.unchecked",
			1},
		{"a user who may not count", redis("ACL SETUSER default -mget"), redis("ACL SETUSER default +mget"),
			"holds.unchecked", 1},
		{"a rule for all", config("[release]", "[[hold.rule]]\nname = \"all\"\ngrace = \"0s\"\n[release]"), asBefore,
			"config.rule", 2},
		{"no grace", config("\"1h\"", "\"0s\""), asBefore, "config.grace", 2},
		{"no DNS", config("dns = \"", "dns = \"127.0.0.1:1\" #"), asBefore, "dns.answers", 1},
		{"config edited", config("\"1h\"", "\"2h\""), asBefore, "daemon.stale", 1},
		{"config open", func() { g.must(os.Chmod(g.conf, 0o644)) }, func() { g.must(os.Chmod(g.conf, 0o600)) }, "files.open",
			1},
	} {
		t.Run(c.name, func(t *testing.T) {
			g.t = t
			c.broken()
			g.finds(c.want, c.code)
			c.fix()
			g.finds("", 0)
		})
		g.t = t
	}
}

// appends makes Redis keep an append-only file again, which it begins with a rewrite.
func (g *gateway) appends() {
	g.redis.Do("CONFIG SET appendonly yes")
	g.redisSays("aof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0")
}

// nearlyFull leaves Redis as much memory as it uses.
func (g *gateway) nearlyFull() {
	_, text, _ := strings.Cut(g.redis.Do("INFO memory"), "used_memory:")
	text, _, _ = strings.Cut(text, "\r\n")
	used, err := strconv.Atoi(text)
	g.must(err)
	g.redis.Do("CONFIG SET maxmemory " + strconv.Itoa(used+used/20)) // it is not full: the daemon is ready
}

// failingSnapshot keeps Redis from putting its snapshot in place.
func (g *gateway) failingSnapshot() {
	g.must(os.Mkdir(filepath.Join(g.redis.Dir, "dump.rdb"), 0o700))
	g.redis.Do("CONFIG SET save \"3600 1000000\"")
	g.redis.Do("BGSAVE")
	g.redisSays("rdb_last_bgsave_status:err")
}

func (g *gateway) goodSnapshot() {
	g.must(os.Remove(filepath.Join(g.redis.Dir, "dump.rdb")))
	g.redis.Do("BGSAVE")
	g.redisSays("rdb_last_bgsave_status:ok")
	g.redis.Do("CONFIG SET save \"\"")
}

func (g *gateway) redisSays(text string) {
	g.t.Helper()
	server.Eventually(g.t, "Redis says "+text,
		func() bool { return strings.Contains(g.redis.Do("INFO persistence"), text) })
}

// sealedHold holds a message with a key that the config does not name.
func (g *gateway) sealedHold() {
	g.change("[redis]", "[redis]\nprefix = \"three\"")
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{g.redis.Addr}, Prefix: "three",
		Durability: "strict", SealKeys: [][]byte{make([]byte, 32)}})
	g.must(err)
	defer store.Close()
	p := store.Put(holdstore.Submission{Sender: holdstore.Path{Address: "a@corp.test"},
		Recipients: []holdstore.Path{{Address: "b@x.test"}}}, []byte("Subject: x\r\n"))
	_, err = p.Commit(context.Background(), holdstore.Terms{Rule: "default", Grace: time.Hour})
	g.must(err)
}

// stranger listens where the daemon should, and speaks another protocol.
func stranger(t *testing.T, address string) (end func()) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Write([]byte("220 mail.corp.test ESMTP\r\n"))
			c.Close()
		}
	}()
	return func() { l.Close(); <-done }
}

// nobody is an ordinary user who has recallctl, and a folder that everybody can read.
type nobody struct {
	t            *testing.T
	program, dir string
}

func newNobody(t *testing.T) nobody {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, to be somebody else")
	}
	dir, err := os.MkdirTemp("", "doctor")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	text, err := os.ReadFile(filepath.Join(programs, "recallctl"))
	n := nobody{t, filepath.Join(dir, "recallctl"), dir}
	for _, err := range []error{err, os.Chmod(dir, 0o755), os.WriteFile(n.program, text, 0o755)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// file writes one of root's files, and returns its path.
func (n nobody) file(name, text string, mode os.FileMode) string {
	n.t.Helper()
	path := filepath.Join(n.dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		n.t.Fatal(err)
	}
	return path
}

func (n nobody) runs(args ...string) (out string, code int) {
	c := exec.Command(n.program, args...)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	text, _ := c.Output()
	return string(text), c.ProcessState.ExitCode()
}

// A gateway of which an ordinary user may not read all says so, and does not call it well.
func TestDoctorSaysWhatAnOrdinaryUserCanNotCheck(t *testing.T) {
	t.Parallel()
	n, redis := newNobody(t), server.StartRedis(t)
	conf := n.file("closed.toml", "", 0o600)
	if out, code := n.runs("-c", conf, "doctor"); code != 2 || !strings.Contains(out,
		"permission denied: nothing else could be checked — sudo recallctl -c "+conf+" doctor") {
		t.Errorf("exit %d: %s", code, out)
	}
	at := "[redis]\naddresses = [\"" + redis.Addr + "\"]\n"
	password := n.file("password", "x", 0o600)
	conf = n.file("password.toml", at+"password_file = \""+password+"\"\n", 0o644)
	if out, _ := n.runs("-c", conf, "--json", "doctor"); !strings.Contains(out,
		`{"check":"redis.unchecked","level":"warning","text":"Redis was not asked: `) {
		t.Errorf("with a password: %s", out)
	}
	key := n.file("key", "x", 0o600)
	conf = n.file("key.toml", at+"[seal]\nkey_file = \""+key+"\"\n", 0o644)
	if out, _ := n.runs("-c", conf, "--json", "doctor"); !strings.Contains(out,
		`{"check":"holds.unchecked","level":"warning","text":"whether all that is held can be opened was not looked at: `) {
		t.Errorf("with a key: %s", out)
	}
}

func TestDoctorProbesEveryWayIn(t *testing.T) {
	t.Parallel()
	g := healthy(t, "1h")
	g.finds("", 0, "--probe", "probe@corp.test")
	list, _ := g.ctl("--json", "list", "--state", "recalled")
	for _, way := range []string{"probe by " + g.mta.smtp + "/inet", "probe by sendmail(1)"} {
		if !strings.Contains(list, way) {
			t.Errorf("no %s was held and taken back:\n%s", way, list)
		}
	}
	if got := g.sink.Got(); len(got) > 0 {
		t.Errorf("a probe was sent: %+v", got)
	}
}

// What goes round the hold is named by the lines of Postfix, and proven by the probe.
func TestDoctorProvesWhatBypassesTheHold(t *testing.T) {
	t.Parallel()
	g := healthy(t, "1h")
	name := filepath.Join(g.postfix.Dir, "conf/main.cf")
	text, err := os.ReadFile(name)
	g.must(err)
	g.must(os.WriteFile(name, bytes.Replace(text, []byte("non_smtpd_milters"), []byte("own_milters"), 1), 0o644))
	g.killDaemon()
	g.finds("daemon.listen postfix.local probe.unchecked", 2, "--probe", "probe@corp.test")
	g.startDaemon()
	g.finds("postfix.local probe.bypass", 2, "--probe", "probe@corp.test")
	server.Eventually(t, "the probe that was not held arrives", func() bool { return len(g.sink.Got()) == 1 })
}

func TestDoctorSendsNoProbeThatARuleWouldLetPass(t *testing.T) {
	t.Parallel()
	g := healthy(t, "1h")
	g.change("grace = \"1h\"\n",
		"grace = \"1h\"\n[[hold.rule]]\nname = \"probes\"\nsender = [\"probe@*\"]\ngrace = \"0s\"\n")
	g.finds("probe.unchecked", 1, "--probe", "probe@corp.test")
	if got := g.sink.Got(); len(got) > 0 {
		t.Errorf("a probe was sent: %+v", got)
	}
}

// The lines that we ship for Sendmail are all that a hold needs.
func TestDoctorFindsNothingInOurLinesForSendmail(t *testing.T) {
	t.Parallel()
	var s *server.Sendmail
	g := startGatewayWith(t, "1h", func(milter, nextHop string) mta {
		s = server.StartSendmail(t, "../packaging/sendmail/recall-milter.m4", milter, nextHop)
		return ofSendmail(s)
	})
	names := server.StartDNS(t)
	g.change("[http]\n", "[inbound]\ndns = \""+names.Addr+"\"\n[http]\n")
	doctor := func() (out string, code int) {
		server.Eventually(t, "Redis is as fast as doctor demands, on a machine under load", func() bool {
			out, code = g.ctl("doctor", "--sendmail", s.File("sendmail.cf"))
			return !strings.Contains(out, "for a command: each message waits")
		})
		return out, code
	}
	// the test's own 100 MB
	if out, code := doctor(); code != 1 || !strings.Contains(out, "0 errors, 1 warning") ||
		!strings.Contains(out, "MAX_MESSAGE_SIZE") {
		t.Errorf("exit %d:\n%s", code, out)
	}
	g.change("grace =", "max_size = \"100MB\"\ngrace =")
	if out, code := doctor(); code != 0 {
		t.Errorf("exit %d:\n%s", code, out)
	}
}
