package holdstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// older fills a Redis with what an older version wrote: a command a line, its words quoted. Layout 1 is of the last version without a
// schema.
func older(t *testing.T, layout int) (addr string) {
	t.Helper()
	addr = server.StartRedis(t).Addr
	text, err := os.ReadFile(fmt.Sprintf("testdata/layout-%d.txt", layout))
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, addr)
	for line := range strings.Lines(string(text)) {
		var words []any
		for rest := strings.TrimSpace(line); rest != ""; rest = strings.TrimSpace(rest) {
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				t.Fatalf("%v: %s", err, rest)
			}
			word, _ := strconv.Unquote(quoted)
			words, rest = append(words, word), rest[len(quoted):]
		}
		if err := s.redis.Do(context.Background(), words...).Err(); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
	}
	for _, name := range s.redis.Keys(context.Background(), string(s.shards[0])+"h:*").Val() {
		s.redis.HSet(context.Background(), name, "held_at", stamp(time.Now())) // the text is older than anything unconfirmed
	}
	return addr
}

func TestAStoreOfAnOlderLayoutGoesOn(t *testing.T) {
	for _, layout := range []int{1, 3} {
		t.Run(fmt.Sprint(layout), func(t *testing.T) { goesOn(t, older(t, layout)) })
	}
}

func goesOn(t *testing.T, addr string) {
	// Several gateways come back at once.
	stores := []*Store{open(t, addr), open(t, addr), open(t, addr)}
	failed := make(chan error, len(stores))
	for _, s := range stores {
		go func() { _, err := s.Reap(context.Background()); failed <- err }()
	}
	for range stores {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
	s, ctx := stores[0], t.Context()
	if got := s.redis.Get(ctx, s.shards[0].schema()).Val(); got != "4/1" {
		t.Errorf("schema %q", got)
	}
	for _, old := range []string{"*:i:?:*", "*:i:l*", "*:z:age", "*:u:*"} {
		if names := s.redis.Keys(ctx, old).Val(); len(names) > 0 {
			t.Errorf("the old layout is still there: %q", names)
		}
	}
	if f := faults(t, s, false); len(f) > 0 {
		t.Errorf("faults: %+v", f)
	}
	states := map[string]State{"released": Released, "recalled": Recalled, "retried": Held, "releasing": Held, "held": Held,
		"unconfirmed": Held, "large": Held, "confirmed": Held}
	found := 0
	for h, err := range s.Find(ctx, Query{States: allStates, Login: "alice", Sender: "alice@corp.test", Recipient: "bob@far.test"}) {
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(h.Subject, "the ")
		if found++; h.State != states[name] {
			t.Errorf("%s is %s", name, h.State)
		}
		if hs, err := s.Resolve(ctx, name+"@Mid.test"); err != nil || len(hs) != 1 || hs[0].ID != h.ID {
			t.Errorf("%s by its Message-ID: %v %v", name, hs, err)
		}
		if _, err := read(t, s, h.ID); h.State != Released && err != nil {
			t.Error(err)
		}
	}
	if found != len(states) {
		t.Errorf("found %d of %d", found, len(states))
	}
	retry := s.Put(Submission{QueueID: "Qother", MessageID: "<unconfirmed@Mid.test>", Subject: "the unconfirmed", Login: "alice",
		Sender: Path{Address: "Alice@corp.test", Args: []string{"RET=HDRS"}}, Recipients: []Path{{Address: "bob@far.test"},
			{Address: "carol\xff@far.test", Args: []string{"NOTIFY=NEVER"}}}}, []byte("Subject: the unconfirmed\r\n"))
	retry.Write(ctx, []byte("waits too\r\n"))
	if r, err := retry.Commit(ctx, Terms{}); err != nil || !r.Found {
		t.Errorf("a retry across the upgrade: %+v %v", r, err)
	}
	for h := range s.Find(ctx, Query{States: allStates}) {
		s.redis.ZAdd(ctx, s.shards[0].state(h.State), zNow(h.ID)...)
	}
	claims, err := s.Claim(ctx, 100)
	if err != nil || len(claims) != 6 {
		t.Fatalf("claimed %d, %v", len(claims), err)
	}
	for _, c := range claims {
		if err := s.Settle(ctx, c, Settlement{Results: map[int]Result{0: {Outcome: Sent}, 1: {Outcome: Sent}}}); err != nil {
			t.Error(err)
		}
	}
}

// A daemon without a schema that is still running after the upgrade loses nothing: what it holds is found and leaves.
func TestWhatAnOlderGatewayHoldsAfterTheUpgradeIsTakenOver(t *testing.T) {
	addr := server.StartRedis(t).Addr
	s, ctx := open(t, addr), t.Context()
	r := put(t, s, "old", time.Hour, "body")
	at, id := s.shards[0], r.ID
	for _, e := range listed(s, id) {
		s.redis.ZRem(ctx, at.index(e), id)
	}
	fields := s.redis.HGetAll(ctx, at.hold(id)).Val()
	s.redis.HDel(ctx, at.hold(id), "p")
	s.redis.HSet(ctx, at.hold(id), unpacked(fields))
	s.redis.HDel(ctx, at.hold(id), "p")
	s.redis.HSet(ctx, at.hold(id), "ix", `["m:<old@Mid.test>","s:alice@corp.test"]`)
	for _, e := range []string{"m:<old@Mid.test>", "s:alice@corp.test"} {
		s.redis.ZAdd(ctx, at.index(e), zNow(id)...)
	}
	if _, err := s.Reap(ctx); err != nil {
		t.Fatal(err)
	}
	if hs, err := s.Resolve(ctx, "old@Mid.test"); err != nil || len(hs) != 1 {
		t.Errorf("%v %v", hs, err)
	}
	if n := s.redis.Exists(ctx, at.index("m:<old@Mid.test>"), at.index("s:alice@corp.test")).Val(); n != 0 {
		t.Error("its old index stays")
	}
}

// A store that is newer than a running daemon stops it at its next step, whatever that is, and nothing is lost.
func TestAnOlderVersionRefusesANewerStore(t *testing.T) {
	addr := server.StartRedis(t).Addr
	s, ctx := open(t, addr), t.Context()
	r := put(t, s, "m", time.Hour, "body")
	due := put(t, s, "due", 0, "body")
	c := claimOne(t, s)
	begun := s.Put(submission("late"), []byte("A: b\r\n"))
	schema := s.shards[0].schema()
	s.redis.Set(ctx, schema, fmt.Sprintf("%d/1", layout+1), 0)
	for what, try := range map[string]func() error{
		"commit": func() error { _, err := begun.Commit(ctx, Terms{Grace: time.Hour}); return err },
		"claim":  func() error { _, err := s.Claim(ctx, 1); return err },
		"settle": func() error { return s.Settle(ctx, c, Settlement{RetryIn: time.Hour}) },
		"recall": func() error { _, err := s.Recall(ctx, r.ID, alice); return err },
		"reap":   func() error { _, err := s.Reap(ctx); return err },
		"other":  func() error { _, err := open(t, addr).Get(ctx, r.ID); return err },
	} {
		err := try()
		if !errors.Is(err, ErrSchema) || !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
		if want := "upgraded to layout 5 by a newer version, and this one knows layout 4"; !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	s.redis.Set(ctx, schema, s.schema(), 0)
	if h, err := s.Get(ctx, r.ID); err != nil || h.State != Held {
		t.Errorf("%+v %v", h, err)
	}
	if err := s.Settle(ctx, c, Settlement{RetryIn: time.Hour}); err != nil {
		t.Errorf("%s: %v", due.ID, err)
	}
	if st, err := s.Stats(ctx); err != nil || st.Count[Held] != 2 {
		t.Errorf("%+v %v", st, err)
	}
}

func TestTheNumberOfShardsIsFixed(t *testing.T) {
	addr := server.StartRedis(t).Addr
	s, ctx := open(t, addr), t.Context()
	for schema, want := range map[string]string{"4/64": "made with 64 shards", "1>3/64": "made with 64 shards", "9>10/1": "upgraded to layout 10", "rubbish": "no version"} {
		s.redis.Set(ctx, s.shards[0].schema(), schema, 0)
		if _, err := open(t, addr).Stats(ctx); !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", schema, err)
		}
	}
}

// An upgrade that was killed is taken up by whoever comes next; a schema that was lost is found again.
func TestAnUpgradeThatWasCutIsEnded(t *testing.T) {
	addr := older(t, 1)
	s, ctx := open(t, addr), t.Context()
	s.redis.Set(ctx, s.shards[0].schema(), "1>2/1", 0)
	if hs, err := s.Resolve(ctx, "held@Mid.test"); err != nil || len(hs) != 1 {
		t.Errorf("%v %v", hs, err)
	}
	s.redis.Del(ctx, s.shards[0].schema())
	if c, err := s.Claim(ctx, 1); err != nil || len(c) != 0 {
		t.Errorf("%v %v", c, err)
	}
	if got := s.redis.Get(ctx, s.shards[0].schema()).Val(); got != "4/1" {
		t.Errorf("schema %q", got)
	}
	s.redis.FlushAll(ctx)
	if r := put(t, s, "m", time.Hour, ""); r.ID == "" {
		t.Error("a store that was emptied takes no mail")
	}
}
