package holdstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/seal"
	"github.com/recall-milter/recall-milter/test/server"
)

// intruder is somebody who can write to Redis as the gateway can, but has no seal key.
type intruder struct {
	t *testing.T
	s *Store
}

func (w intruder) key(id string) string { return holdKey(w.s.nodes.Of(id), id) }

// replace changes text of a field.
func (w intruder) replace(id, field, from, to string) {
	w.t.Helper()
	text, err := w.s.nodes.Client.HGet(w.t.Context(), w.key(id), field).Result()
	if err != nil || !strings.Contains(text, from) {
		w.t.Fatalf("%s has no %q: %q %v", field, from, text, err)
	}
	w.set(id, field, strings.Replace(text, from, to, 1))
}

func (w intruder) set(id string, pairs ...any) {
	w.t.Helper()
	if err := w.s.nodes.Client.HSet(w.t.Context(), w.key(id), pairs...).Err(); err != nil {
		w.t.Fatal(err)
	}
}

func (w intruder) del(id string, fields ...string) {
	w.s.nodes.Client.HDel(w.t.Context(), w.key(id), fields...)
}

// strip takes the proof out of a record.
func (w intruder) strip(id string) {
	w.t.Helper()
	text := w.s.nodes.Client.HGet(w.t.Context(), w.key(id), "p").Val()
	w.set(id, "p", strings.Join(strings.SplitN(text, "\n", 3)[:2], "\n"))
}

// due makes a hold be held, and due now.
func (w intruder) due(id string) {
	w.t.Helper()
	_, err := w.s.nodes.Client.Eval(w.t.Context(), `
for _, st in ipairs({'recalled', 'releasing', 'released'}) do redis.call('ZREM', KEYS[1] .. 'z:' .. st, ARGV[1]) end
redis.call('HSET', KEYS[1] .. 'h:' .. ARGV[1], 'state', 'held')
redis.call('ZADD', KEYS[1] .. 'z:held', 1, ARGV[1])
return 1`, []string{string(w.s.nodes.Of(id))}, id).Result()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w intruder) recall(id string) {
	w.t.Helper()
	if _, err := w.s.Recall(w.t.Context(), id, Actor{By: "test"}); err != nil {
		w.t.Fatal(err)
	}
}

func (w intruder) recallOnly(id string, only ...string) {
	w.t.Helper()
	if _, err := w.s.RecallOnly(w.t.Context(), id, only, Actor{By: "test"}); err != nil {
		w.t.Fatal(err)
	}
}

func (w intruder) restore(id string) {
	w.t.Helper()
	if _, err := w.s.Restore(w.t.Context(), id, Actor{By: "test"}); err != nil {
		w.t.Fatal(err)
	}
}

// wouldGet claims what is due, and lists who would get it.
func wouldGet(t *testing.T, s *Store) string {
	t.Helper()
	claims, err := s.Claim(t.Context(), 10)
	if err != nil && !errors.Is(err, ErrDamaged) {
		t.Fatal(err)
	}
	return getters(t, s, claims...)
}

// getters lists who would get what is claimed.
func getters(t *testing.T, s *Store, claims ...*Claim) string {
	t.Helper()
	var all []string
	for _, c := range claims {
		if _, err := io.ReadAll(s.Content(t.Context(), &c.Hold)); err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNoKey) {
				t.Errorf("it can't be read, for no reason that the release loop knows: %v", err)
			}
			continue
		}
		for n, r := range c.Recipients {
			if c.Results[n].Outcome == Pending {
				all = append(all, r.Address)
			}
		}
	}
	return strings.Join(all, " ")
}

// intrusion is what somebody does to a message to b@x.test and c@x.test, and who may get it then.
type intrusion struct {
	do   func(w intruder, id string)
	want string
}

func intrusions() map[string]intrusion {
	return map[string]intrusion{
		"untouched":            {func(w intruder, id string) {}, "b@x.test c@x.test"},
		"another recipient":    {func(w intruder, id string) { w.replace(id, "p", "b@x.test", "m@y.test") }, ""},
		"another sender":       {func(w intruder, id string) { w.replace(id, "p", "alice@corp.test", "m@y.test") }, ""},
		"another Message-ID":   {func(w intruder, id string) { w.replace(id, "p", "one@corp.test", "two@corp.test") }, ""},
		"another login":        {func(w intruder, id string) { w.replace(id, "p", `"l":"alice"`, `"l":"mallory"`) }, ""},
		"another size":         {func(w intruder, id string) { w.replace(id, "p", " ", " 1") }, ""},
		"the proof taken away": {func(w intruder, id string) { w.strip(id) }, ""},
		"proof and recipient": {func(w intruder, id string) {
			w.replace(id, "p", "b@x.test", "m@y.test")
			w.strip(id)
		}, ""},
		"a key that nobody has": {func(w intruder, id string) {
			w.replace(id, "p", "b@x.test", "m@y.test")
			w.replace(id, "p", "\n"+KeyID(key(1)), "\n00000000")
		}, ""},
		"a recall undone": {func(w intruder, id string) {
			w.recall(id)
			w.set(id, "np", 2)
			w.del(id, "r0", "r1")
		}, ""},
		"a recall for one undone": {func(w intruder, id string) {
			w.recallOnly(id, "b@x.test")
			w.set(id, "np", 2)
			w.del(id, "r0")
		}, ""},
		"its ticket taken away": {func(w intruder, id string) {
			w.recallOnly(id, "b@x.test")
			w.del(id, "may")
		}, ""},
		"its ticket made one for all": {func(w intruder, id string) {
			w.recallOnly(id, "b@x.test")
			w.replace(id, "may", "-,0 ", "- ")
			w.del(id, "r0")
		}, ""},
		"recalled for one": {func(w intruder, id string) { w.recallOnly(id, "b@x.test") }, "c@x.test"},
		"recalled for one, then the other, and restored": {func(w intruder, id string) {
			w.recallOnly(id, "b@x.test")
			w.recallOnly(id, "c@x.test")
			w.restore(id)
		}, "c@x.test"},
		"recalled and restored": {func(w intruder, id string) {
			w.recall(id)
			w.restore(id)
		}, "b@x.test c@x.test"},
	}
}

// Whoever writes to Redis without the seal key can't send a message to others, to those for whom it was recalled, or
// under another name.
func TestAWriterToRedisCanNotRedirectMailOrUndoARecall(t *testing.T) {
	s := openSealed(t, server.StartRedis(t).Addr, key(1))
	for name, c := range intrusions() {
		c.attempted(t, s, name)
	}
}

// In a Cluster the same holds, and a copy in another shard than its ID tells is not sent: a recall would not reach it.
func TestAWriterToAClusterCanNotRedirectMailOrUndoARecall(t *testing.T) {
	t.Parallel()
	s := openWith(t, Options{Addresses: server.StartCluster(t, server.Never).Addrs(), SealKeys: [][]byte{key(1)}})
	for name, c := range intrusions() {
		c.attempted(t, s, name)
	}
	intrusion{func(w intruder, id string) {
		at := s.nodes.Of(id)
		other := s.nodes.Shards[0]
		if other == at {
			other = s.nodes.Shards[1]
		}
		for _, name := range w.keysOf(id) {
			w.copyKey(name, string(other)+strings.TrimPrefix(name, string(at)))
		}
		w.recall(id)
		w.s.nodes.Client.ZAdd(t.Context(), heldKey(other), redis.Z{Score: 1, Member: id})
	}, ""}.attempted(t, s, "a copy in another shard")
	for _, at := range s.nodes.Shards {
		if ids := s.nodes.Client.ZRange(t.Context(), stateKey(at, Releasing), 0, -1).Val(); slices.ContainsFunc(ids,
			func(id string) bool { return s.nodes.Of(id) != at }) {
			t.Errorf("%s leases what is not its own: %v", at, ids)
		}
	}
}

// keysOf are the keys of a hold.
func (w intruder) keysOf(id string) (names []string) {
	w.t.Helper()
	at := string(w.s.nodes.Of(id))
	record := w.s.nodes.Client.HGet(w.t.Context(), w.key(id), "p").Val()
	for _, word := range strings.Fields(record) { // one of them is the nonce that its content has
		names = append(names, at+"b:"+id+":"+word+":0", at+"b:"+id+":"+word+":1")
	}
	return append(names, w.key(id))
}

func (w intruder) copyKey(from, to string) {
	w.t.Helper()
	ctx, c := w.t.Context(), w.s.nodes.Client
	dump, err := c.Dump(ctx, from).Result()
	if errors.Is(err, redis.Nil) {
		return
	}
	if err == nil {
		err = c.RestoreReplace(ctx, to, 0, dump).Err()
	}
	if err != nil {
		w.t.Fatal(from, to, err)
	}
}

// attempted holds a message, does it, and claims the message in both ways.
func (c intrusion) attempted(t *testing.T, s *Store, name string) {
	t.Helper()
	w := intruder{t, s}
	sub := submission("one")
	sub.Recipients, sub.MessageID, sub.Login = []Path{{Address: "b@x.test"},
		{Address: "c@x.test"}}, "<one@corp.test>", "alice"
	sub.Sender.Address = "alice@corp.test"
	p := s.Put(sub, []byte(header(name)))
	if err := p.Write(t.Context(), []byte("body")); err != nil {
		t.Fatal(err)
	}
	r, err := p.Commit(t.Context(), Terms{Grace: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	c.do(w, r.ID)
	w.due(r.ID)
	if one, err := s.ClaimOne(t.Context(), r.ID, "by sendmail(1)", alice); err == nil {
		if got := getters(t, s, one); got != c.want {
			t.Errorf("%s: sent by a person to %q, want %q", name, got, c.want)
		}
		if err := s.GiveBack(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	} else if c.want != "" {
		t.Errorf("%s: a person can't send it: %v", name, err)
	}
	w.due(r.ID)
	claims, err := s.Claim(t.Context(), 100)
	if err != nil && !errors.Is(err, ErrDamaged) {
		t.Fatal(err)
	}
	claims = slices.DeleteFunc(claims, func(c *Claim) bool { return c.ID != r.ID })
	if got := getters(t, s, claims...); got != c.want {
		t.Errorf("%s: sent to %q, want %q", name, got, c.want)
	}
}

// With a key, content that is not sealed is somebody else's.
func TestUnsealedContentIsRefusedOnceThereIsAKey(t *testing.T) {
	addr := server.StartRedis(t).Addr
	id := put(t, open(t, addr), "one", time.Hour, "").ID
	s := openSealed(t, addr, key(1))
	if text, err := read(t, s, id); !errors.Is(err, ErrUnproven) {
		t.Errorf("an unsealed message: %q %v", text, err)
	}
	mine := put(t, s, "two", time.Hour, "").ID
	h, err := s.Get(t.Context(), mine)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := seal.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	forged := plain.WrapWhole([]byte("Subject: x\r\n"), []byte("forged"), seal.Place{})
	if err := s.nodes.Client.Set(t.Context(), pieceKey(s.nodes.Of(mine), mine, h.staging, 0), forged,
		0).Err(); err != nil {
		t.Fatal(err)
	}
	if text, err := read(t, s, mine); !errors.Is(err, ErrDamaged) {
		t.Errorf("a forged piece: %q %v", text, err)
	}
}

// Recalls for several recipients at once each leave a ticket for the rest.
func TestRecallsOfOneHoldAtOnceLeaveItsTicketRight(t *testing.T) {
	s := openSealed(t, server.StartRedis(t).Addr, key(1))
	sub := submission("one")
	sub.Recipients = nil
	for n := range 6 {
		sub.Recipients = append(sub.Recipients, Path{Address: fmt.Sprintf("r%d@x.test", n)})
	}
	r, err := s.Put(sub, []byte(header("one"))).Commit(t.Context(), Terms{Grace: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	for n := range 5 {
		go func() {
			_, err := s.RecallOnly(context.WithoutCancel(t.Context()), r.ID, []string{fmt.Sprintf("r%d@x.test", n)},
				Actor{By: "test"})
			done <- err
		}()
	}
	for range 5 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	intruder{t, s}.due(r.ID)
	if got := wouldGet(t, s); got != "r5@x.test" {
		t.Errorf("sent to %q", got)
	}
}

// Without the keys, as recallctl works when it may not read them, a message can be recalled, and nothing is done to it
// that would keep it from its recipients for good.
func TestWithoutTheKeysNothingIsDoneThatNeedsThem(t *testing.T) {
	addr := server.StartRedis(t).Addr
	s := openSealed(t, addr, key(1))
	id := put(t, s, "one", time.Hour, "").ID
	keyless := open(t, addr)
	if _, err := keyless.RecallOnly(t.Context(), id, []string{"bob@far.test"}, Actor{By: "test"}); !errors.Is(err,
		ErrNoKey) {
		t.Errorf("recalled for some: %v", err)
	}
	if _, err := keyless.Recall(t.Context(), id, Actor{By: "test"}); err != nil {
		t.Errorf("recalled: %v", err)
	}
	if _, err := keyless.Restore(t.Context(), id, Actor{By: "test"}); !errors.Is(err, ErrNoKey) {
		t.Errorf("restored: %v", err)
	}
	if h, err := keyless.Get(t.Context(), id); err != nil || h.State != Recalled || !errors.Is(h.Proven(), ErrNoKey) {
		t.Errorf("%v %v", h, err)
	}
	intruder{t, s}.restore(id)
	intruder{t, s}.due(id)
	if got := wouldGet(t, s); got == "" {
		t.Error("restored with the key, it can't be sent")
	}
}

// A sealed message to very many is recalled and restored: nothing looks through its recipients for each of them.
func TestASealedMessageToVeryManyIsRecalled(t *testing.T) {
	t.Parallel()
	s := openSealed(t, server.StartRedis(t).Addr, key(1))
	sub := submission("m")
	sub.Recipients = nil
	var half []string
	for n := range 50_000 { // as many as the milter takes
		to := fmt.Sprintf("somebody.%d@far.test", n)
		if sub.Recipients = append(sub.Recipients, Path{Address: to}); n%2 == 0 {
			half = append(half, to)
		}
	}
	r, err := s.Put(sub, []byte(header("m"))).Commit(t.Context(), Terms{Rule: "default", Grace: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for n, act := range []func() (*Hold, error){
		func() (*Hold, error) { return s.RecallOnly(t.Context(), r.ID, half, alice) },
		func() (*Hold, error) { return s.Recall(t.Context(), r.ID, alice) },
		func() (*Hold, error) { return s.Restore(t.Context(), r.ID, alice) },
	} {
		if _, err := act(); err != nil {
			t.Fatalf("act %d: %v", n, err)
		}
	}
	h, err := s.Get(t.Context(), r.ID)
	if err != nil || h.State != Held || h.Results[0].Outcome != TakenBack || h.Results[1].Outcome != Pending {
		t.Errorf("%v", err)
	}
}
