package holdstore

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// live takes a store through all that it is asked for: a login that is too tight shows here.
func live(t *testing.T, s *Store) {
	t.Helper()
	ctx := t.Context()
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	wake, stop := context.WithCancel(ctx)
	defer stop()
	bell := s.Wake(wake)
	server.Eventually(t, "a wake-up", func() bool { return len(bell) > 0 })
	must("ready", s.Ready(ctx))
	_, err := s.Secret(ctx)
	must("secret", err)
	liveHold(t, s, must)
	liveAct(t, s, must)
	liveJob(t, s, must)
	liveInbound(t, s, must)
	_, err = s.Reap(ctx)
	must("reap", err)
	st, err := s.Stats(ctx)
	must("stats", err)
	if st.Count[Released] != 1 || st.Count[Recalled] != 1 || st.Count[Held] != 1 {
		t.Errorf("stats %+v", st)
	}
	for _, err := range s.Log(ctx, time.Time{}, false) {
		must("log", err)
	}
	for fault, err := range s.Fsck(ctx, true, nil) {
		must("fsck", err)
		if err == nil && fault.Name != "" {
			t.Logf("fsck: %+v", fault)
		}
	}
	_, err = s.Warnings(ctx)
	must("warnings", err)
	_, err = s.Health(ctx)
	must("health", err)
	_, err = s.OverdueHolds(ctx, time.Minute)
	must("overdue", err)
}

type check func(what string, err error)

func liveHold(t *testing.T, s *Store, must check) {
	t.Helper()
	ctx := t.Context()
	body := strings.Repeat("x", 2*chunkSize+7)
	r, err := tryPut(s, "big", 0, body)
	must("put", err)
	again, err := tryPut(s, "big", 0, body)
	if must("put again", err); !again.Found || again.ID != r.ID {
		t.Errorf("again: %+v", again)
	}
	s.Confirm(r)
	_, _, err = s.NextDue(ctx)
	must("next due", err)
	cs, err := s.Claim(ctx, 9)
	if must("claim", err); len(cs) != 1 {
		t.Fatalf("claimed %d", len(cs))
	}
	must("give back", s.GiveBack(ctx, cs[0]))
	if cs, err = s.Claim(ctx, 9); len(cs) != 1 {
		t.Fatalf("claimed %d again: %v", len(cs), err)
	}
	must("renew", s.Renew(ctx, cs[0]))
	text, err := io.ReadAll(s.Content(ctx, &cs[0].Hold))
	if must("content", err); !strings.HasSuffix(string(text), "\r\n\r\n"+body) {
		t.Error("other content")
	}
	must("settle", s.Settle(ctx, cs[0], Settlement{Results: map[int]Result{0: {Outcome: Sent}, 1: {Outcome: Sent}}}))
	_, err = s.RequestRecall(ctx, r.ID,
		[]Request{{RequestID: "q1", Hold: r.ID, Domain: "far.test", Recipients: []int{0}}}, time.Hour, alice)
	must("ask", err)
	_, err = s.Request(ctx, "q1")
	must("request", err)
	must("answered", s.AddAnswers(ctx, r.ID, "far.test", []Answer{{0, Retracted, ""}}))
	must("note", s.Note(ctx, r.ID, Event{Verb: "read"}))
	_, err = s.StopWaiting(ctx, r.ID)
	must("no answer", err)
	p := s.Put(submission("given up"), []byte(header("given up")))
	must("write", p.Write(ctx, []byte(body)))
	p.Abandon()
	_, err = s.Put(submission("fenced"), nil).fence(errors.New("a test"))
	if !errors.Is(err, ErrUnknown) {
		must("fence", err)
	}
}

func liveAct(t *testing.T, s *Store, must check) {
	t.Helper()
	ctx := t.Context()
	kept, err := tryPut(s, "kept", time.Hour, "")
	must("put", err)
	back, err := tryPut(s, "back", time.Hour, "")
	must("put", err)
	_, err = s.RecallOnly(ctx, back.ID, []string{"bob@far.test"}, alice)
	must("recall for one", err)
	_, err = s.Recall(ctx, back.ID, alice)
	must("recall", err)
	_, err = s.Restore(ctx, back.ID, alice)
	must("restore", err)
	_, err = s.Recall(ctx, back.ID, alice)
	must("recall", err)
	_, err = s.Extend(ctx, kept.ID, time.Hour, alice)
	must("extend", err)
	must("audit", s.Audit(ctx, "looked", kept.ID, alice, ""))
	_, err = s.Pause(ctx, alice)
	must("pause", err)
	_, err = s.Paused(ctx)
	must("paused", err)
	_, err = s.Resume(ctx, alice)
	must("resume", err)
	for _, ref := range []string{kept.ID, "kept@Mid.test", "Qkept"} {
		hs, err := s.Resolve(ctx, ref)
		if must("resolve", err); len(hs) != 1 {
			t.Errorf("%s is %d holds", ref, len(hs))
		}
	}
	for _, q := range []Query{{}, {Sender: "alice@corp.test"}, {Sender: "al*"}, {Subject: "kept"},
		{Recipient: "bob@far.test", Since: time.Now().Add(-time.Hour)}} {
		n := 0
		for _, err := range s.Find(ctx, q) {
			must("find", err)
			n++
		}
		if n != 1 {
			t.Errorf("%+v finds %d", q, n)
		}
	}
	must("damage", s.nodes.Client.Set(ctx, string(s.nodes.Shards[0])+"debts", "x", 0).Err())
	_, err = s.Reap(ctx)
	must("setting aside", err)
	if aside, err := s.Aside(ctx, 2); len(aside) != 1 || err != nil {
		t.Errorf("set aside: %q, %v", aside, err)
	}
	_, err = s.Latest(ctx, Whose{Login: "alice"}, 2, nil)
	must("latest", err)
	ids, err := s.WaitingIDs(ctx)
	must("waiting", err)
	must("bulk", s.Bulk(ctx, s.Draining(), ids, alice, func([]Acted) {}))
	_, err = s.GetSome(ctx, ids)
	must("get some", err)
	_, err = s.States(ctx, ids)
	must("states", err)
}

func liveJob(t *testing.T, s *Store, must check) {
	t.Helper()
	ctx := t.Context()
	must("job", s.AddJob(ctx, "j1", "test", 1, 0))
	for range 3 { // it, and those of Ask
		j, err := s.ClaimJob(ctx)
		if must("claim job", err); j == nil {
			t.Fatal("no job")
		}
		must("renew job", s.RenewJob(ctx, j))
		must("save job", s.SaveJob(ctx, j, 2))
		must("retry job", s.RetryJob(ctx, j, time.Hour))
	}
}

func liveInbound(t *testing.T, s *Store, must check) {
	t.Helper()
	ctx := t.Context()
	must("remember", s.Remember(ctx, []Remembered{{MessageID: "<a@b>", From: "a@b", Recipients: []string{"c@d"},
		Subjects: []string{"x"}, At: time.Now()}}, time.Hour))
	for _, id := range []string{"<a@b>", ""} {
		got, err := s.FindRemembered(ctx, "a@b", id, "x", []string{"b@corp.test"})
		if must("remembered", err); len(got) != 1 {
			t.Errorf("remembered %v", got)
		}
	}
	_, err := s.FirstUse(ctx, "what", "who", time.Hour)
	must("once", err)
	_, err = s.Used(ctx, "what", "who")
	must("spent", err)
	_, err = s.Count(ctx, time.Hour, Tally{Name: "b", By: 1})
	must("count", err)
	_, err = s.Counts(ctx, time.Hour, Tally{Name: "b"})
	must("counted", err)
}

// documented is a line of the manual that begins so, with our password.
func documented(t *testing.T, begin string) string {
	t.Helper()
	text, err := os.ReadFile("../docs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^    (` + regexp.QuoteMeta(begin) + `.*)$`).FindSubmatch(text)
	if line == nil {
		t.Fatalf("docs/redis.md has no line %q", begin)
	}
	return strings.ReplaceAll(string(line[1]), "PASSWORD", "secret")
}

const (
	userLine     = "user recall-milter on >PASSWORD resetkeys ~recall:*"
	sentinelLine = "user recall-milter on >PASSWORD resetkeys allchannels"
)

// loggedIn makes servers demand the login that the manual recommends, and says after the test what it lacked.
func loggedIn(t *testing.T, nodes ...*server.Redis) Options {
	t.Helper()
	user := strings.TrimPrefix(documented(t, userLine), "user ")
	for _, n := range nodes {
		n.Do("ACL SETUSER " + user)
		n.NextStart(append([]string{"--user"}, strings.Fields(user)...)...)
		t.Cleanup(func() {
			for _, entry := range strings.Split(n.Do("ACL LOG 50"), "\r\ncount\r\n")[1:] {
				t.Errorf("the login lacks: %q", entry[:min(len(entry), 300)])
			}
		})
	}
	return Options{Username: "recall-milter", Password: "secret"}
}

func TestALoginThatMayDoNoMoreThanTheManualSays(t *testing.T) {
	t.Parallel()
	t.Run("single", func(t *testing.T) {
		t.Parallel()
		srv := server.StartRedis(t)
		o := loggedIn(t, srv)
		o.Addresses = []string{srv.Addr}
		live(t, openWith(t, o))
		o.Password = "wrong"
		if err := openWith(t, o).Ready(t.Context()); !errors.Is(err, ErrNotAllowed) ||
			!strings.Contains(err.Error(), "redis.password_file") {
			t.Errorf("a wrong password: %v", err)
		}
		srv.Do("ACL LOG RESET")
	})
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		c := server.StartCluster(t, server.Never)
		o := loggedIn(t, c.Nodes...)
		o.Addresses, o.Replicas = c.Addrs(), 1
		live(t, openWith(t, o))
	})
	t.Run("sentinel", func(t *testing.T) {
		t.Parallel()
		w := server.StartWatched(t, server.Never, documented(t, sentinelLine))
		o := loggedIn(t, w.Nodes...)
		o.Addresses, o.SentinelMaster, o.Replicas = w.Addrs(), server.SentinelName, 1
		live(t, openWith(t, o))
		o.Password = "wrong"
		if err := openWith(t, o).Ready(t.Context()); !errors.Is(err, ErrNotAllowed) ||
			!strings.Contains(err.Error(), "all sentinels") {
			t.Errorf("a wrong password: %v", err)
		}
	})
	t.Run("sentinel without one", func(t *testing.T) {
		t.Parallel()
		w := server.StartWatched(t, server.Never, "")
		o := loggedIn(t, w.Nodes...)
		o.Addresses, o.SentinelMaster, o.Replicas = w.Addrs(), server.SentinelName, 1
		if err := openWith(t, o).Ready(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestAUnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	server.StartRedis(t, "--unixsocket", path)
	live(t, openWith(t, Options{Addresses: []string{"unix:" + path}}))
}

func TestTLSToTheRightServerOnly(t *testing.T) {
	t.Parallel()
	c, other := server.MakeCertificates(t, "redis.test"), server.MakeCertificates(t, "redis.test")
	addr := server.FreeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	server.StartRedis(t, "--tls-port", port, "--tls-cert-file", c.Cert, "--tls-key-file", c.Key, "--tls-ca-cert-file",
		c.CA, "--tls-auth-clients", "no")
	o := Options{Addresses: []string{addr}, TLS: true, CAFile: c.CA, ServerName: "redis.test"}
	live(t, openWith(t, o))
	for what, change := range map[string]func(o *Options){
		"another authority": func(o *Options) { o.CAFile = other.CA },
		"another name":      func(o *Options) { o.ServerName = "else.test" },
		"no name":           func(o *Options) { o.ServerName = "" },
		"no TLS":            func(o *Options) { o.TLS = false },
	} {
		wrong := o
		change(&wrong)
		if err := openWith(t, wrong).Ready(t.Context()); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		} else {
			t.Logf("%s: %v", what, err)
		}
	}
	if _, err := Open(Options{Addresses: []string{addr}, TLS: true, CAFile: c.Key}); err == nil ||
		!strings.Contains(err.Error(), "no certificate") {
		t.Errorf("a key as authority: %v", err)
	}
}
