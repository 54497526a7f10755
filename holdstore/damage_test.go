package holdstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
	"github.com/recall-milter/recall-milter/test/server"
)

// hurt is a store with something damaged in it.
type hurt struct {
	*Store
	at     nodes.Shard
	r      redis.UniversalClient // a client that heals nothing
	victim string                // ID of the damaged hold, which is due
	other  string                // one that waits, of the same sender
	told   *[]string
	round  int // of othersWork
}

func (h *hurt) key(name string) string { return string(h.at) + name }

// ailing opens a store of its own on a server, with a hold that is about to be damaged and one of everything else.
func ailing(t *testing.T, server string, prefix string) *hurt {
	t.Helper()
	s := openWith(t, Options{Addresses: []string{server}, Durability: "relaxed", Prefix: prefix})
	r := redis.NewClient(&redis.Options{Addr: server})
	t.Cleanup(func() { r.Close() })
	h := &hurt{Store: s, at: s.nodes.Shards[0], r: r, told: &[]string{}}
	s.OnDamage(func(line string) { *h.told = append(*h.told, line) })
	ctx := t.Context()
	h.victim, h.other = put(t, s, "victim", 0, "body").ID, put(t, s, "other", time.Hour, "body").ID
	came := Remembered{MessageID: "<in@x.test>", From: "a@x.test", Recipients: []string{"b@corp.test"}, At: time.Now()}
	_, err := s.FirstUse(ctx, "recall", "user", time.Hour)
	_, wrong := s.Count(ctx, time.Hour, Tally{"name", 1})
	for _, err := range []error{
		err, wrong,
		s.Remember(ctx, []Remembered{came}, time.Hour),
		s.RememberUnheld(ctx, []Unheld{NewUnheld("<un@held.test>", "bert", time.Now())}, time.Hour),
		s.AddJob(ctx, "victim", JobRequest, "data", 0),
		s.AddJob(ctx, "in:site:victim", JobRequest, "data", time.Hour),
		s.Audit(ctx, "recall", h.victim, alice, "refused"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Secret(ctx); err != nil {
		t.Fatal(err)
	}
	return h
}

// othersWork fails the test unless everybody else's mail is held, claimed, settled, recalled, searched and checked.
func (h *hurt) othersWork(t *testing.T) {
	t.Helper()
	ctx, s := t.Context(), h.Store
	h.round++
	var wrong []error
	check := func(what string, err error) {
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", what, err))
		}
	}
	_, err := s.Reap(ctx)
	check("reap", err)
	due, err := tryPut(s, fmt.Sprint("due", h.round), 0, "body")
	check("hold", err)
	check("claim, and settle", h.releases(due.ID))
	_, err = s.RequestRecall(ctx, due.ID, []Request{{RequestID: "r" + due.ID, Hold: due.ID, Domain: "far.test",
		Recipients: []int{0}}}, time.Hour, alice)
	check("request", err)
	check("answer", s.AddAnswers(ctx, due.ID, "far.test", []Answer{{Recipient: 0, Outcome: Retracted}}))
	check("job", h.jobIsDone())
	check("search", h.found())
	check("bulk recall", h.recalled())
	_, err = s.Stats(ctx)
	check("stats", err)
	for _, err := range s.Log(ctx, time.Time{}, false) {
		check("log", err)
	}
	_, err = s.Count(ctx, time.Hour, Tally{"name", 1})
	check("count", err)
	_, err = s.FirstUse(ctx, "recall", "user", time.Hour)
	check("use", err)
	_, err = s.Secret(ctx)
	check("secret", err)
	_, err = s.UnheldUse(ctx, "<un@held.test>", "anna", time.Now(), time.Hour)
	check("unheld", err)
	_, err = s.FindRemembered(ctx, "a@x.test", "<in@x.test>", "", []string{"b@corp.test"})
	check("remembered", err)
	check("remember",
		s.Remember(ctx, []Remembered{{MessageID: "<2@x.test>", From: "a@x.test", At: time.Now()}}, time.Hour))
	if err := errors.Join(wrong...); err != nil {
		t.Errorf("%s: others are hurt:\n%v", t.Name(), err)
	}
}

// releases claims until a hold is among the claims, and settles it.
func (h *hurt) releases(id string) error {
	return h.settles(id, Settlement{Results: map[int]Result{0: {Outcome: Sent}, 1: {Outcome: Sent}}})
}

// settles claims until a hold is among the claims, and settles it with what an attempt brought.
func (h *hurt) settles(id string, st Settlement) error {
	all, err := h.Claim(context.Background(), 10)
	n := slices.IndexFunc(all, func(c *Claim) bool { return c.ID == id })
	if n < 0 {
		return fmt.Errorf("%s was not claimed: %w", id, errors.Join(err))
	}
	return h.Settle(context.Background(), all[n], st)
}

func (h *hurt) jobIsDone() error {
	ctx := context.Background()
	if err := h.AddJob(ctx, fmt.Sprint("sound", h.round), JobRequest, "data", 0); err != nil {
		return err
	}
	for range 10 {
		j, err := h.ClaimJob(ctx)
		if j == nil && err == nil {
			return errors.New("none is due")
		}
		if j != nil && j.ID == fmt.Sprint("sound", h.round) {
			return h.FinishJob(ctx, j, time.Minute)
		}
	}
	return errors.New("it was not claimed")
}

// found looks for the other hold as people and the desk do.
func (h *hurt) found() error {
	ctx := context.Background()
	has := func(all []*Hold, err error) error {
		if err != nil || !slices.ContainsFunc(all, func(o *Hold) bool { return o.ID == h.other }) {
			return fmt.Errorf("found %d, %v", len(all), err)
		}
		return nil
	}
	find := func(q Query) error {
		var all []*Hold
		for o, err := range h.Find(ctx, q) {
			if err != nil && !errors.Is(err, ErrDamaged) {
				return err
			}
			if err == nil {
				all = append(all, o)
			}
		}
		return has(all, nil)
	}
	return errors.Join(
		has(h.Latest(ctx, Whose{Login: "alice"}, 10, nil)),
		has(h.Resolve(ctx, "<other@Mid.test>")),
		has(h.Resolve(ctx, "Qother")),
		has(h.GetSome(ctx, []string{h.victim, h.other})),
		find(Query{}), find(Query{Sender: "alice@corp.test"}), find(Query{Login: "alice"}))
}

// recalled recalls the victim and another hold together.
func (h *hurt) recalled() error {
	ctx, more := context.Background(), ""
	r, err := tryPut(h.Store, fmt.Sprint("more", h.round), time.Hour, "body")
	if err != nil {
		return err
	}
	more = r.ID
	outcome := errors.New("nothing was told")
	err = h.Bulk(ctx, h.Recalling(), []string{h.victim, more}, alice, func(acted []Acted) {
		if n := slices.IndexFunc(acted, func(a Acted) bool { return a.ID == more }); n >= 0 {
			outcome = acted[n].Err
		}
	})
	return errors.Join(err, outcome)
}

// visible fails the test unless the damage is logged once, and shown by fsck, whose repair ends without an error and
// deletes no content.
func (h *hurt) visible(t *testing.T, name string) {
	t.Helper()
	pieces := h.r.Keys(t.Context(), h.key("b:*")).Val()
	told := slices.DeleteFunc(slices.Clone(*h.told), func(l string) bool { return !strings.Contains(l, name) })
	if len(told) != 1 {
		t.Errorf("%s: told %q, want one line about %s", t.Name(), *h.told, name)
	}
	for _, repair := range []bool{false, true, false} {
		shown := slices.ContainsFunc(faults(t, h.Store, repair), func(f Fault) bool {
			return strings.Contains(f.Name+f.What, name)
		})
		if !shown {
			t.Errorf("%s: fsck does not show %s", t.Name(), name)
		}
	}
	for _, piece := range pieces {
		if h.r.PTTL(t.Context(), piece).Val() == -2 {
			t.Errorf("%s: fsck deleted %s", t.Name(), piece)
		}
	}
}

// A field of a record that can't be read costs that message: it is parked, with its content, and nobody else notices.
func TestADamagedFieldCostsOnlyItsMessage(t *testing.T) {
	addr := server.StartRedis(t, "--appendfsync", "no").Addr
	p := func(old, other string) func(*hurt) {
		return func(h *hurt) {
			pack(h.Store, h.victim, func(p string) string { return strings.Replace(p, old, other, 1) })
		}
	}
	field := func(name, value string) func(*hurt) {
		return func(h *hurt) { h.r.HSet(context.Background(), holdKey(h.at, h.victim), name, value) }
	}
	for n, c := range []struct {
		name   string
		harm   func(*hurt)
		parked bool // else it is sent all the same: nothing reads the field
	}{
		{"due is not a number", field("due", "abc"), true},
		{"due is too large", field("due", "99999999999999999999"), true},
		{"due is negative", field("due", "-1"), true},
		{"due is inf", field("due", "inf"), true},
		{"attempts", field("attempts", "x"), true},
		{"late", field("late", "x"), true},
		{"np", field("np", "x"), false},
		{"np is wrong", field("np", "7"), false},
		{"defects", field("defects", "x"), true},
		{"state", field("state", "lost"), true},
		{"a result is no JSON", field("r0", "x"), true},
		{"a result is a number", field("r0", "5"), true},
		{"a result is null", field("r0", `{"o":5}`), true},
		{"a result of no kind", field("r0", `{"o":"bogus"}`), true},
		{"p is gone", func(h *hurt) { h.r.HDel(context.Background(), holdKey(h.at, h.victim), "p") }, false},
		{"p is empty", field("p", ""), true},
		{"p is short", field("p", "1 2 3"), true},
		{"p is short, and what it would have are fields", func(h *hurt) {
			h.r.HSet(context.Background(), holdKey(h.at, h.victim), "p", "1 2 3", "nrcpt", "99999999", "chunks", "99999999")
		}, true},
		{"p has no moment", field("p", "x 0 4 2 N 1 \n{}"), true},
		{"p has many pieces", field("p", "1 0 4 2 N 99999999999999 \n{}"), true},
		{"p has many recipients", field("p", "1 0 4 99999999999999 N 1 \n{}"), true},
		{"p has other JSON", p("}", ""), true},
		{"timeline", field("tl", "x\n\x00"), false},
		{"ticket", field("may", "x"), false},
		{"owner", field("o", "x y z"), false},
		{"replaced by", field("by", "x"), false},
		{"replaced", field("replaced", "x"), false},
		{"relied", field("relied", "x"), false},
	} {
		h := ailing(t, addr, fmt.Sprint("field", n))
		if c.name == "p is gone" {
			h.r.HSet(t.Context(), holdKey(h.at, h.victim), "late", "1")
			c.parked = true
		}
		t.Run(c.name, func(t *testing.T) {
			c.harm(h)
			if !c.parked {
				h.othersWork(t)
				return
			}
			if all, err := h.Claim(t.Context(), 10); len(all) > 0 || err != nil {
				t.Errorf("claimed %d (%v)", len(all), err)
			}
			if parked, _, err := h.Parked(t.Context(), 10); err != nil || !slices.Equal(parked, []string{h.victim}) {
				t.Errorf("parked %q (%v)", parked, err)
			}
			if _, err := h.Reap(t.Context()); err != nil {
				t.Error(err)
			}
			h.visible(t, h.victim)
			h.othersWork(t)
		})
	}
}

// A parked hold can be recalled and released. What could not be read is gone from it then.
func TestWhatIsParkedForDamageCanBeActedOn(t *testing.T) {
	addr := server.StartRedis(t, "--appendfsync", "no").Addr
	for n, name := range []string{"due", "attempts", "late", "defects"} {
		h := ailing(t, addr, fmt.Sprint("act", n))
		h.r.HSet(t.Context(), holdKey(h.at, h.victim), name, "x")
		h.Claim(t.Context(), 10)
		if _, err := h.Release(t.Context(), h.victim, alice); err != nil {
			t.Fatal(name, err)
		}
		if err := h.releases(h.victim); err != nil {
			t.Error(name, err)
		}
		h = ailing(t, addr, fmt.Sprint("recall", n))
		h.r.HSet(t.Context(), holdKey(h.at, h.victim), name, "x")
		if o, err := h.Recall(t.Context(), h.victim, alice); err != nil || o.State != Recalled {
			t.Error(name, o, err)
		}
		if all, err := h.Claim(t.Context(), 10); len(all) > 0 || err != nil {
			t.Errorf("claimed %d (%v)", len(all), err)
		}
	}
}

// A hold of a state that nobody knows is given the one that its results say. One that waits stays parked until somebody
// releases or recalls it; what was recalled or sent is not sent.
func TestAHoldOfUnknownStateIsKnownAfterARepair(t *testing.T) {
	addr := server.StartRedis(t, "--appendfsync", "no").Addr
	ctx := t.Context()
	for n, c := range []struct {
		name   string
		before func(*hurt) error
		want   State
		after  func(*hurt) error
	}{
		{"held, to be sent", nil, Held, func(h *hurt) error {
			_, err := h.Release(ctx, h.victim, alice)
			return errors.Join(err, h.releases(h.victim))
		}},
		{"held, to be recalled", nil, Held, func(h *hurt) error {
			_, err := h.Recall(ctx, h.victim, alice)
			return err
		}},
		{"recalled", func(h *hurt) error { _, err := h.Recall(ctx, h.victim, alice); return err }, Recalled,
			func(h *hurt) error { _, err := h.Restore(ctx, h.victim, alice); return err }},
		{"released", func(h *hurt) error {
			// a note gives it a hash of its own
			return errors.Join(h.releases(h.victim), h.Note(ctx, h.victim, Event{Verb: "noted"}))
		}, Released, func(*hurt) error { return nil }},
		{"taken back for one, and sent to the other", func(h *hurt) error {
			_, err := h.RecallOnly(ctx, h.victim, []string{"bob@far.test"}, alice)
			return errors.Join(err, h.settles(h.victim, Settlement{Results: map[int]Result{1: {Outcome: Sent}}}))
		}, Released, func(*hurt) error { return nil }},
		{"sent to one, and taken back for the other", func(h *hurt) error {
			wrong := h.settles(h.victim, Settlement{Results: map[int]Result{0: {Outcome: Sent}}, RetryIn: time.Hour})
			_, err := h.Recall(ctx, h.victim, alice)
			return errors.Join(wrong, err)
		}, Recalled, func(h *hurt) error { _, err := h.Restore(ctx, h.victim, alice); return err }},
	} {
		h := ailing(t, addr, fmt.Sprint("unknown", n))
		if c.before != nil {
			if err := c.before(h); err != nil {
				t.Fatal(c.name, err)
			}
		}
		h.r.HSet(ctx, holdKey(h.at, h.victim), "state", "lost")
		if all, err := h.Claim(ctx, 10); len(all) > 0 || err != nil {
			t.Errorf("%s: claimed %d (%v)", c.name, len(all), err)
		}
		faults(t, h.Store, true)
		if all, err := h.Claim(ctx, 10); len(all) > 0 || err != nil {
			t.Errorf("%s: claimed %d after the repair (%v)", c.name, len(all), err)
		}
		left := slices.DeleteFunc(faults(t, h.Store, false), func(f Fault) bool {
			return c.want == Held && strings.Contains(f.What, "it is parked")
		})
		hold, err := h.Get(ctx, h.victim)
		if err != nil || hold.State != c.want || len(left) > 0 {
			t.Errorf("%s: %v (%v); left: %+v", c.name, hold, err, left)
		}
		if err := c.after(h); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		h.othersWork(t)
	}
}

// The same damage when it is met while a message is on its way.
func TestADamagedLeaseCostsOnlyItself(t *testing.T) {
	addr := server.StartRedis(t, "--appendfsync", "no").Addr
	for n, field := range []string{"due", "attempts", "state", "p"} {
		h := ailing(t, addr, fmt.Sprint("lease", n))
		if c := claimOne(t, h.Store); c.ID != h.victim {
			t.Fatal("claimed", c.ID)
		}
		h.r.HSet(t.Context(), holdKey(h.at, h.victim), field, "x")
		h.r.ZAdd(t.Context(), stateKey(h.at, Releasing), redis.Z{Score: 1, Member: h.victim})
		for range 2 {
			if _, err := h.Reap(t.Context()); err != nil {
				t.Error(field, err)
			}
		}
		if parked, _, err := h.Parked(t.Context(), 10); err != nil || !slices.Equal(parked, []string{h.victim}) {
			t.Errorf("%s: parked %q (%v)", field, parked, err)
		}
		h.othersWork(t)
	}
}

// A key of another type costs what it was about: it is set aside, told once, and what it was for is built again.
func TestAKeyOfAnotherTypeCostsOnlyItself(t *testing.T) {
	addr := server.StartRedis(t, "--appendfsync", "no").Addr
	sample := ailing(t, addr, "sample")
	var names []string
	for _, name := range sample.r.Keys(t.Context(), "sample:*").Val() {
		_, rest := sample.shardOf(name)
		if rest != "schema" {
			names = append(names, rest)
		}
	}
	slices.Sort(names)
	for n, name := range names {
		h := ailing(t, addr, fmt.Sprint("type", n))
		// IDs and pieces have other names in each store.
		name = strings.ReplaceAll(name, sample.victim, h.victim)
		if strings.HasPrefix(name, "b:"+h.victim) {
			name = strings.TrimPrefix(h.r.Keys(t.Context(), h.key("b:"+h.victim+":*")).Val()[0], string(h.at))
		}
		if h.r.Exists(t.Context(), h.key(name)).Val() == 0 {
			continue // of the other hold, or a name by chance
		}
		t.Run(strings.SplitN(name, ":", 3)[0]+" "+name, func(t *testing.T) {
			key := h.key(name)
			other := func() { h.r.RPush(t.Context(), key, "x") }
			if h.r.Type(t.Context(), key).Val() == "list" {
				other = func() { h.r.Set(t.Context(), key, "x", 0) }
			}
			h.r.Del(t.Context(), key)
			other()
			for range 2 {
				if _, err := h.Reap(t.Context()); err != nil {
					t.Error(err)
				}
			}
			h.othersWork(t)
			if strings.HasPrefix(name, "h:") {
				if _, err := h.Get(t.Context(), h.victim); !errors.Is(err, ErrDamaged) {
					t.Errorf("get says %v", err)
				}
				h.visible(t, "h:"+h.victim)
			}
			for f := range h.Fsck(t.Context(), true, nil) {
				_ = f
			}
			h.othersWork(t)
		})
	}
}

// A number of all holds that can't be read costs nobody anything.
func TestACounterThatIsNotANumberBeginsAgain(t *testing.T) {
	addr := server.StartRedis(t, "--appendfsync", "no").Addr
	for n, name := range []string{"bytes", "late", "ages", "own", "insum", "u", "in:n"} {
		h := ailing(t, addr, fmt.Sprint("count", n))
		for _, key := range h.r.Keys(t.Context(), h.key(name+"*")).Val() {
			if h.r.Type(t.Context(), key).Val() == "string" {
				h.r.Set(t.Context(), key, "x", 0)
				continue
			}
			for field := range h.r.HGetAll(t.Context(), key).Val() {
				h.r.HSet(t.Context(), key, field, "x")
			}
		}
		h.othersWork(t)
		faults(t, h.Store, true)
		if f := faults(t, h.Store, false); slices.ContainsFunc(f, func(f Fault) bool { return f.Fix != "" }) {
			t.Errorf("%s: left behind: %+v", name, f)
		}
	}
}

// Jobs of which a count or a moment can't be read are parked, and the next one is done.
func TestADamagedJobCostsOnlyItself(t *testing.T) {
	addr := server.StartRedis(t, "--appendfsync", "no").Addr
	for n, field := range []string{"since", "attempts", "done", "kind", "data", "tok", "ended", "gather"} {
		h := ailing(t, addr, fmt.Sprint("job", n))
		h.r.HSet(t.Context(), h.key("j:victim"), field, "x")
		h.othersWork(t)
	}
}

// What fsck does not repair it does not touch.
func TestFsckOnlyLooksAtKeysOfAnotherType(t *testing.T) {
	h := ailing(t, server.StartRedis(t, "--appendfsync", "no").Addr, "look")
	for _, name := range []string{"h:" + h.victim, "z:recalled", "own", "jobs", "i:" + listed(h.Store, h.victim)[0]} {
		h.r.Del(t.Context(), h.key(name))
		h.r.Set(t.Context(), h.key(name), "x", 0)
	}
	before := picture(t, h.Store)
	if f := faults(t, h.Store, false); len(f) < 5 {
		t.Errorf("found %+v", f)
	}
	for name, value := range picture(t, h.Store) {
		if before[name] != value {
			t.Errorf("%s was %s and is %s", name, before[name], value)
		}
	}
	for range 2 {
		faults(t, h.Store, true)
	}
	left := faults(t, h.Store, false)
	if slices.ContainsFunc(left, func(f Fault) bool { return !strings.Contains(f.What, "set aside") }) {
		t.Errorf("left: %+v", left)
	}
	h.othersWork(t)
}

// What failed on the way to Redis is no command's own error; a server that is away must not look like an empty store.
func TestHealingHidesNoOtherError(t *testing.T) {
	away, h := errors.New("no connection"), healer{open(t, "127.0.0.1:1")}
	cmd := redis.NewStatusCmd(t.Context(), "ping")
	err := h.ProcessPipelineHook(func(context.Context, []redis.Cmder) error { return away })(t.Context(),
		[]redis.Cmder{cmd})
	if !errors.Is(err, away) {
		t.Errorf("a pipeline: %v", err)
	}
	err = h.ProcessHook(func(context.Context, redis.Cmder) error { return away })(t.Context(), cmd)
	if !errors.Is(err, away) {
		t.Errorf("a command: %v", err)
	}
}

// A record that was overwritten is set aside. Reap does not make a hold of it, which nothing would ever release.
func TestReapMakesNoHoldOfAnOverwrittenRecord(t *testing.T) {
	t.Parallel()
	s := open(t, server.StartRedis(t).Addr)
	h := put(t, s, "m", time.Hour, "body")
	if _, err := s.Recall(t.Context(), h.ID, alice); err != nil {
		t.Fatal(err)
	}
	at := s.nodes.Of(h.ID)
	s.nodes.Client.ZRem(t.Context(), stateKey(at, Recalled), h.ID)
	s.nodes.Client.Set(t.Context(), holdKey(at, h.ID), "x", 0)
	if n, err := s.repair(t.Context(), []string{holdKey(at, h.ID)}); err != nil || n != 0 {
		t.Errorf("%d put back, %v", n, err)
	}
	if waiting, err := s.WaitingIDs(t.Context()); err != nil || len(waiting) > 0 {
		t.Errorf("%q wait, %v", waiting, err)
	}
	if _, err := s.Get(t.Context(), h.ID); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "set aside as") {
		t.Errorf("it is called %v", err)
	}
}
