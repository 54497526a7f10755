package holdstore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/holdid"
	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
	"github.com/recall-milter/recall-milter/test/server"
)

// picture is all that is in a store: each key's value, and whether it expires.
func picture(t *testing.T, s *Store) map[string]string {
	t.Helper()
	ctx, all := t.Context(), map[string]string{}
	for _, name := range s.nodes.Client.Keys(ctx, "*").Val() {
		var value any
		switch kind := s.nodes.Client.Type(ctx, name).Val(); kind {
		case "hash":
			value = s.nodes.Client.HGetAll(ctx, name).Val()
		case "zset":
			zs := s.nodes.Client.ZRangeWithScores(ctx, name, 0, -1).Val()
			if strings.Contains(name, "z:re") || strings.HasSuffix(name, "jobs") { // scores that fixing takes from the clock
				zs = slices.Clone(zs)
				for n := range zs {
					zs[n].Score = 0
				}
			}
			value = zs
		case "set":
			members := s.nodes.Client.SMembers(ctx, name).Val()
			slices.Sort(members)
			value = members
		case "string":
			value = s.nodes.Client.Get(ctx, name).Val()
		default:
			value = kind
		}
		all[name] = fmt.Sprint(value, s.nodes.Client.PTTL(ctx, name).Val() > 0)
	}
	return all
}

func faults(t *testing.T, s *Store, repair bool) (all []Fault) {
	t.Helper()
	for f, err := range s.Fsck(t.Context(), repair, nil) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
	}
	return all
}

// lives puts a message into every state, and a job.
func lives(t *testing.T, s *Store) map[State]*Hold {
	t.Helper()
	ids := map[State]string{Released: put(t, s, "released", 0, "x").ID}
	c := claimOne(t, s)
	if err := s.Settle(t.Context(), c,
		Settlement{Results: map[int]Result{0: {Outcome: Sent}, 1: {Outcome: Sent}}}); err != nil {
		t.Fatal(err)
	}
	ids[Releasing] = put(t, s, "releasing", 0, "x").ID
	claimOne(t, s)
	ids[Recalled] = put(t, s, "recalled", time.Hour, "x").ID
	if _, err := s.Recall(t.Context(), ids[Recalled], alice); err != nil {
		t.Fatal(err)
	}
	ids[Held] = put(t, s, "held", time.Hour, strings.Repeat("x", chunkSize+1)).ID
	if err := s.AddJob(t.Context(), "ask:1", JobRequest, "data", time.Hour); err != nil {
		t.Fatal(err)
	}
	holds := map[State]*Hold{}
	for st, id := range ids {
		h, err := s.Get(t.Context(), id)
		if err != nil || h.State != st {
			t.Fatal(st, h, err)
		}
		holds[st] = h
	}
	return holds
}

// pack changes what a hold was at first.
func pack(s *Store, id string, f func(p string) string) {
	name, ctx := holdKey(s.nodes.Of(id), id), context.Background()
	s.nodes.Client.HSet(ctx, name, "p", f(s.nodes.Client.HGet(ctx, name, "p").Val()))
}

// listed are the index entries of a hold.
func listed(s *Store, id string) []string {
	numbers, _, _ := strings.Cut(s.nodes.Client.HGet(context.Background(), holdKey(s.nodes.Of(id), id), "p").Val(), "\n")
	return strings.Fields(numbers)[6:]
}

func TestFsckFindsAndFixesEveryFault(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	ctx, at, r := t.Context(), s.nodes.Shards[0], s.nodes.Client
	h := lives(t, s)
	held, releasing, released, recalled := h[Held].ID, h[Releasing].ID, h[Released].ID, h[Recalled].ID
	piece := func(st State, n int) string { return pieceKey(at, h[st].ID, h[st].staging, n) }
	owner, _, _ := strings.Cut(ownerOf(&h[Held].Submission, Terms{}), "@")
	came := Remembered{MessageID: "<in@x.test>", From: "a@x.test", Recipients: []string{"b@corp.test"}, At: time.Now()}
	if err := s.Remember(ctx, []Remembered{came}, time.Hour); err != nil {
		t.Fatal(err)
	}
	if f := faults(t, s, false); len(f) > 0 {
		t.Fatalf("a sound store: %+v", f)
	}
	sound := picture(t, s)
	charge := func(messages, records int64) func() {
		return func() {
			has := parseCharges(r.HGet(ctx, ownKey(at), owner).Val())
			r.HSet(ctx, ownKey(at), owner, fmt.Sprint(messages, has.b, records))
		}
	}
	for _, c := range []struct {
		name, want string
		harm       func()
		left       string // a key that stays behind, and expires
	}{
		{held, "no loop would meet it", func() { r.ZRem(ctx, stateKey(at, Held), held) }, ""},
		{releasing, "no loop would meet it", func() { r.ZRem(ctx, stateKey(at, Releasing), releasing) }, ""},
		{recalled, "no loop would meet it", func() { r.ZRem(ctx, stateKey(at, Recalled), recalled) }, ""},
		{held, "another due moment", func() { r.ZAdd(ctx, stateKey(at, Held), redis.Z{Score: 1e15, Member: held}) }, ""},
		{held, "stands among what is released",
			func() { r.ZAdd(ctx, stateKey(at, Released), redis.Z{Score: 1e15, Member: held}) }, ""},
		{released, "stands among what is held",
			func() { r.ZAdd(ctx, stateKey(at, Held), redis.Z{Score: 1e15, Member: released}) }, ""},
		{"2222222222222", "stands in z:held, and has no record",
			func() { r.ZAdd(ctx, stateKey(at, Held), redis.Z{Score: 1, Member: "2222222222222"}) }, ""},
		{held, "its content would expire", func() { r.PExpire(ctx, piece(Held, 1), time.Hour) }, ""},
		{recalled, "its content stays forever", func() { r.Persist(ctx, piece(Recalled, 0)) }, ""},
		{held, "a search by index would miss it",
			func() { r.SRem(ctx, indexKey(at, listed(s, held)[0]), holdid.Number(held)) }, ""},
		{held, "counts 7 pending recipients, and has 2", func() { r.HSet(ctx, holdKey(at, held), "np", 7) }, ""},
		{"index s9: 2222222222222", "its record does not say so",
			func() { r.SAdd(ctx, indexKey(at, "s9"), holdid.Number("2222222222222")) }, ""},
		{"index s9: " + held, "its record does not say so",
			func() { r.SAdd(ctx, indexKey(at, "s9"), holdid.Number(held)) }, ""},
		{"piece 2222222222222:N:0", "belongs to no message",
			func() { r.Set(ctx, pieceKey(at, "2222222222222", "N", 0), "x", 0) }, pieceKey(at, "2222222222222", "N", 0)},
		{"piece " + held + ":OTHER:0", "belongs to no message",
			func() { r.Set(ctx, pieceKey(at, held, "OTHER", 0), "x", 0) }, pieceKey(at, held, "OTHER", 0)},
		{"piece " + released + ":N:0", "belongs to no message",
			func() { r.Set(ctx, pieceKey(at, released, "N", 0), "x", 0) }, pieceKey(at, released, "N", 0)},
		{"tombstone X", "stays forever", func() { r.Set(ctx, string(at)+"x:X", 1, 0) }, string(at) + "x:X"},
		{"request R", "stays forever", func() { r.Set(ctx, requestKey(at, "R"), 1, 0) }, requestKey(at, "R")},
		{"remembered in:m:7", "stays forever", func() { r.HSet(ctx, receivedKey(at, 7), "a", 1) }, receivedKey(at, 7)},
		{"job ask:1", "nobody would do it", func() { r.ZRem(ctx, jobsKey(at), "ask:1") }, ""},
		{"job old", "is known forever", func() { r.HSet(ctx, string(at)+"j:old", "kind", "ask") }, string(at) + "j:old"},
		{"job none", "there is nothing to do", func() { r.ZAdd(ctx, jobsKey(at), redis.Z{Score: 1, Member: "none"}) }, ""},
		{"shard " + string(at), "bytes waiting", func() { r.IncrBy(ctx, bytesKey(at), 17) }, ""},
		{"shard " + string(at) + ", owner " + owner, "it counts {4 ", charge(4, 0), ""},
		{"shard " + string(at) + ", owner " + owner, " 17} (messages", charge(3, 17), ""},
		{"shard " + string(at) + ", owner " + owner, "it counts {0 0 0}",
			func() { r.HSet(ctx, ownKey(at), owner, "3 5000000") }, ""},
		{"shard " + string(at) + ", owner lSOMEBODY", "there are {0 0 0}",
			func() { r.HSet(ctx, ownKey(at), "lSOMEBODY", "0 5000000 0") }, ""},
		{"shard " + string(at), "remembered messages", func() { r.HIncrBy(ctx, rememberedKey(at), "n", 1000) }, ""},
		{"shard " + string(at), "how old is what waits", func() { r.HIncrBy(ctx, agesKey(at), "7", 1) }, ""},
	} {
		c.harm()
		harmed := picture(t, s)
		if maps.Equal(sound, harmed) {
			t.Fatalf("%s: no harm was done", c.want)
		}
		is := func(all []Fault, repaired bool) bool {
			return len(all) == 1 && all[0].Name == c.name && strings.Contains(all[0].What, c.want) && all[0].Fix != "" &&
				all[0].Repaired == repaired
		}
		if f := faults(t, s, false); !is(f, false) || !maps.Equal(harmed, picture(t, s)) {
			t.Errorf("%s: %s: found %+v", c.name, c.want, f)
		}
		if f := faults(t, s, true); !is(f, true) {
			t.Errorf("%s: %s: fixed %+v", c.name, c.want, f)
		}
		if f := faults(t, s, false); len(f) > 0 {
			t.Errorf("%s: %s: after it was fixed: %+v", c.name, c.want, f)
		}
		if c.left != "" {
			if r.PTTL(ctx, c.left).Val() <= 0 {
				t.Errorf("%s stays forever, or was deleted at once", c.left)
			}
			r.Del(ctx, c.left)
		}
		for name, value := range picture(t, s) {
			if sound[name] != value {
				t.Errorf("%s: %s: fixing changed %s from %s to %s", c.name, c.want, name, sound[name], value)
			}
		}
	}
}

// What can't be fixed is said and left alone.
func TestFsckLeavesWhatItCantFix(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	ctx, at, r := t.Context(), s.nodes.Shards[0], s.nodes.Client
	h := lives(t, s)
	for want, harm := range map[string]func(){
		"a piece of its content is missing": func() { r.Del(ctx, pieceKey(at, h[Held].ID, h[Held].staging, 1)) },
		"its record can not be read": func() {
			pack(s, h[Releasing].ID,
				func(p string) string { return strings.ReplaceAll(p, "}", "") })
		},
		"no version of recall-milter":     func() { r.Set(ctx, string(at)+"surprise", 1, 0) },
		"in a shard that this store does": func() { r.Set(ctx, "recall:{mh9}:h:2222222222222", 1, 0) },
	} {
		harm()
		before := picture(t, s)
		for range 2 {
			all := faults(t, s, true)
			if n := slices.IndexFunc(all, func(f Fault) bool { return strings.Contains(f.What, want) }); n < 0 ||
				all[n].Repaired || all[n].Fix != "" {
				t.Errorf("%s: %+v", want, all)
			}
		}
		if !maps.Equal(before, picture(t, s)) {
			t.Errorf("%s: something was changed", want)
		}
	}
}

// Next to a busy gateway nothing is taken for a fault, and nothing is touched.
func TestFsckBesideABusyGateway(t *testing.T) {
	s := openWith(t, Options{Addresses: []string{server.StartRedis(t, "--appendfsync", "no").Addr}, Durability: "relaxed"})
	ended := make(chan bool)
	go func() {
		defer close(ended)
		for i := range 300 {
			r, err := tryPut(s, fmt.Sprint("m", i), time.Duration(i%2)*time.Hour, "body")
			if err != nil {
				t.Error(err)
				return
			}
			if i%3 == 1 {
				s.Recall(t.Context(), r.ID, alice)
			}
			cs, _ := s.Claim(t.Context(), 1)
			for _, c := range cs {
				s.Settle(t.Context(), c, Settlement{Results: map[int]Result{0: {Outcome: Sent}, 1: {Outcome: Sent}}})
			}
		}
	}()
	for {
		if f := faults(t, s, true); len(f) > 0 {
			t.Fatalf("%+v", f)
		}
		select {
		case <-ended:
			return
		default:
		}
	}
}

// When everything has had its time, nothing is left but what a store always has.
func TestNothingStaysBehind(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	ctx, r := t.Context(), s.nodes.Client
	s.opt.RecallRetention, s.opt.RecordRetention, s.lease = time.Millisecond, time.Millisecond, time.Millisecond
	for i := range 20 {
		name := func(what string) string { return fmt.Sprint(what, i) }
		s.Confirm(put(t, s, name("confirmed"), 0, "x"))
		put(t, s, name("unconfirmed"), 0, strings.Repeat("y", 2*chunkSize))
		put(t, s, name("retried"), 0, "x")
		back := put(t, s, name("recalled"), time.Hour, "x")
		if _, err := s.Recall(ctx, back.ID, alice); err != nil {
			t.Fatal(err)
		}
		part := put(t, s, name("partly"), time.Hour, "x")
		if _, err := s.RecallOnly(ctx, part.ID, []string{"bob@far.test"}, alice); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Release(ctx, part.ID, alice); err != nil {
			t.Fatal(err)
		}
		fenced := s.Put(submission(name("fenced")), nil)
		if _, err := fenced.Commit(ctx, Terms{Grace: time.Hour}); err != nil {
			t.Fatal(err)
		}
		fenced.fence(nodes.ErrFewReplicas)
		left := s.Put(submission(name("left")), nil)
		left.Write(ctx, []byte(strings.Repeat("z", 3*chunkSize)))
		left.work.Wait()
		if err := s.AddJob(ctx, name("job"), JobRequest, "x", 0); err != nil {
			t.Fatal(err)
		}
		j, err := s.ClaimJob(ctx)
		if err != nil || j == nil {
			t.Fatal(j, err)
		}
		s.FinishJob(ctx, j, time.Hour)
	}
	if err := s.Remember(ctx, []Remembered{{MessageID: "<a@b>", From: "a@b", Recipients: []string{"c@d"}, At: time.Now()}},
		time.Millisecond); err != nil {
		t.Fatal(err)
	}
	s.FirstUse(ctx, "key", "a", time.Hour)
	s.Count(ctx, time.Hour, Tally{Name: "b", By: 1})
	constant := []string{"bytes", "insum", "late", "log", "own", "schema"}
	server.Eventually(t, "everything has had its time", func() bool {
		cs, err := s.Claim(ctx, 100) // with leases that are over at once
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cs {
			s.Settle(ctx, c, Settlement{Results: map[int]Result{0: {Outcome: Sent}, 1: {Outcome: Failed}}})
		}
		if _, err := s.Reap(ctx); err != nil {
			t.Fatal(err)
		}
		var left []string
		for _, key := range r.Keys(ctx, "*").Val() {
			if r.PTTL(ctx, key).Val() > 0 {
				r.PExpire(ctx, key, time.Millisecond) // its time comes
			}
			left = append(left, strings.TrimPrefix(key, string(s.nodes.Shards[0])))
		}
		slices.Sort(left)
		return slices.Equal(left, constant)
	})
	if st, err := s.Stats(ctx); err != nil || st.Bytes != 0 || st.Count[Held] != 0 {
		t.Errorf("%+v %v", st, err)
	}
}

func TestTheTrailKeepsWhatIsYoung(t *testing.T) {
	s := openWith(t, Options{Addresses: []string{server.StartRedis(t, "--appendfsync", "no").Addr}, Durability: "relaxed",
		RecallRetention: time.Hour, RecordRetention: time.Hour})
	ctx, at := t.Context(), s.nodes.Shards[0]
	old := time.Now().Add(-2 * time.Hour).UnixMilli()
	pipe := s.nodes.Client.Pipeline()
	const n = trailFew + 500
	for i := range n {
		id := fmt.Sprintf("%d-%d", old, i+1)
		if i >= 300 {
			id = fmt.Sprintf("%d-%d", time.Now().UnixMilli(), i+1)
		}
		pipe.XAdd(ctx, &redis.XAddArgs{Stream: logKey(at), ID: id, Values: []string{"verb", "recall", "id", "x"}})
	}
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := s.Reap(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if left := s.nodes.Client.XLen(ctx, logKey(at)).Val(); left < n-300 || left > n-299 {
		t.Errorf("%d entries are left, want the %d that are younger than records", left, n-300)
	}
}

// What is counted of a network that mail came from is set right by what is remembered, and the sums follow.
func TestFsckSetsCountersOfRememberedMailRight(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	ctx, at, r := t.Context(), s.nodes.Shards[0], s.nodes.Client
	var all []Remembered
	for n := range 2500 {
		all = append(all,
			Remembered{MessageID: fmt.Sprintf("<%d@x.test>", n), From: "a@x.test", Recipients: []string{"b@corp.test"},
				Ways: []Way{{Client: fmt.Sprintf("192.0.%d.1", 2+n%2)}}, At: time.Now()})
	}
	for some := range slices.Chunk(all, 100) {
		if err := s.Remember(ctx, some, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	right := fmt.Sprint(r.ZRangeWithScores(ctx, loadKey(at), 0, -1).Val(), r.HGetAll(ctx, rememberedKey(at)).Val())
	if f := faults(t, s, true); len(f) > 0 {
		t.Fatalf("a sound store: %+v", f)
	}
	network := r.ZRange(ctx, loadKey(at), 0, 0).Val()[0]
	r.ZIncrBy(ctx, loadKey(at), -100_000, network)
	r.HIncrBy(ctx, rememberedKey(at), "bytes", 3)
	if f := faults(t, s, true); len(f) != 2 || !strings.Contains(f[0].Name, ", network "+network) {
		t.Errorf("found %+v", f)
	}
	if got := fmt.Sprint(r.ZRangeWithScores(ctx, loadKey(at), 0, -1).Val(),
		r.HGetAll(ctx, rememberedKey(at)).Val()); got != right {
		t.Errorf("it counts %s, want %s", got, right)
	}
}
