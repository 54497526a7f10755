package holdstore

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/holdid"
	"github.com/recall-milter/recall-milter/test/server"
)

// A script that changes a record on a shelf gives it the hash that it would have without the shelf.
func TestARecordLeavesItsShelfAsItWas(t *testing.T) {
	t.Parallel()
	s := open(t, server.StartRedis(t).Addr)
	ctx, at, r := t.Context(), s.nodes.Shards[0], s.nodes.Client
	own := submission("own")
	own.Login, own.Client = "", Client{}
	for _, sub := range []Submission{office(1), submission("plain"), own} {
		h, _ := sent(t, s, sub, nil)
		was := shelvedFields(t, s, h.ID)
		ends := r.ZScore(ctx, endsKey(at), h.ID[:shelfShortest]).Val()
		if was == nil || r.Exists(ctx, holdKey(at, h.ID)).Val() != 0 || ends < float64(time.Now().UnixMilli()) {
			t.Fatalf("%s is not on a shelf: %q, it ends at %v", h.ID, was, ends)
		}
		if st, err := s.Stats(ctx); err != nil || st.Count[Released] < 1 {
			t.Errorf("it is not counted: %+v, %v", st, err)
		}
		before, err := s.Get(ctx, h.ID)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Note(ctx, h.ID, Event{Verb: "noted", By: "anna"}); err != nil {
			t.Fatal(err)
		}
		is := r.HGetAll(ctx, holdKey(at, h.ID)).Val()
		if !strings.Contains(is["tl"], "noted") || shelvedFields(t, s, h.ID) != nil {
			t.Errorf("it was noted in %q", is)
		}
		if delete(is, "tl"); !maps.Equal(is, was) {
			t.Errorf("off the shelf it has\n%q, and on it\n%q", is, was)
		}
		if score := r.ZScore(ctx, stateKey(at, Released), h.ID).Val(); score != ends {
			t.Errorf("it ends at %v, and on the shelf at %v", score, ends)
		}
		after, err := s.Get(ctx, h.ID)
		if err != nil || len(after.Timeline) != 3 || after.Timeline[1] != before.Timeline[1] {
			t.Errorf("its timeline is %+v, %v, and was %+v", after, err, before.Timeline)
		}
		if f := faults(t, s, false); len(f) > 0 {
			t.Errorf("faults: %+v", f)
		}
	}
}

// shelve holds a message with an ID, lets it be sent to all recipients, and returns the ID.
func shelve(t *testing.T, s *Store, n int, id string) string {
	t.Helper()
	p := s.Put(office(n), []byte("Subject: x\r\n"))
	p.id = id
	if _, err := p.Commit(t.Context(), Terms{Rule: "default"}); err != nil {
		t.Fatal(err)
	}
	results := map[int]Result{0: {Outcome: Sent}, 1: {Outcome: Sent}}
	if err := s.Settle(t.Context(), claimOne(t, s), Settlement{Results: results}); err != nil {
		t.Fatal(err)
	}
	return id
}

// idsOfNow are IDs of one moment.
func idsOfNow(n int) (ids []string) {
	moment := holdid.New(time.Now())[:8]
	for i := range n {
		ids = append(ids, fmt.Sprintf("%s%05d", moment, 22222+i))
	}
	return ids
}

// shelfLength is how many characters the name of the shelf has on which a record is; 0: it is on none.
func shelfLength(t *testing.T, s *Store, id string) int {
	t.Helper()
	keys, fields := shelfKeys(s.nodes.Of(id), id)
	for n := range keys {
		if s.nodes.Client.HExists(t.Context(), keys[n], fields[n]).Val() {
			return shelfShortest + n
		}
	}
	return 0
}

// Each record goes when it ends, and takes nothing of its shelf with it.
func TestARecordOnAShelfEndsByItself(t *testing.T) {
	t.Parallel()
	addr, ids := server.StartRedis(t).Addr, idsOfNow(2)
	short, long := keeping(t, addr, time.Second), keeping(t, addr, shelfSpan/2)
	goes, stays := shelve(t, short, 1, ids[0]), shelve(t, long, 2, ids[1])
	if shelfLength(t, long, goes) != shelfShortest || shelfLength(t, long, stays) != shelfShortest {
		t.Fatal("they are not on one shelf")
	}
	server.Eventually(t, "the record is gone", func() bool {
		if _, err := long.Reap(t.Context()); err != nil {
			t.Fatal(err)
		}
		return len(listedIDs(t, long)) == 1
	})
	if got := listedIDs(t, long); !slices.Equal(got, []string{stays}) {
		t.Errorf("left is %v, want %s without %s", got, stays, goes)
	}
	entries := long.entries("m", office(1).MessageID)
	if ids, err := long.listedAnywhere(t.Context(), entries); err != nil || slices.Contains(ids, goes) {
		t.Errorf("its index has %v, %v", ids, err)
	}
	if f := faults(t, long, false); len(f) > 0 {
		t.Errorf("faults: %+v", f)
	}
}

// keeping opens a store that keeps records for so long.
func keeping(t *testing.T, addr string, d time.Duration) *Store {
	t.Helper()
	return openWith(t, Options{Addresses: []string{addr}, RecordRetention: d, RecallRetention: time.Second})
}

// Whoever reads shelves in the order of their ends must not miss one, nor remember many records: what ends before the
// first record of a shelf, or long after it, is not put there.
func TestRecordsOnAShelfEndOneSoonAfterTheOther(t *testing.T) {
	t.Parallel()
	addr, ids := server.StartRedis(t).Addr, idsOfNow(6)
	for n, c := range []struct {
		keep   time.Duration
		length int
	}{{2 * time.Hour, 5}, {2*time.Hour + shelfSpan/2, 5}, {time.Hour, 6}, {3 * time.Hour, 7}, {time.Minute, 8},
		{30 * time.Minute, 0}} {
		s := keeping(t, addr, c.keep)
		if got := shelfLength(t, s, shelve(t, s, n, ids[n])); got != c.length {
			t.Errorf("kept for %v, it is on a shelf of %d characters, want %d", c.keep, got, c.length)
		}
	}
	s := keeping(t, addr, time.Hour)
	want := []string{ids[4], ids[5], ids[2], ids[0], ids[1], ids[3]}
	if got := listedIDs(t, s); !slices.Equal(got, want) {
		t.Errorf("listed are %v, want %v", got, want)
	}
	if h, err := s.Get(t.Context(), ids[5]); err != nil || h.State != Released {
		t.Errorf("what finds no shelf is %+v, %v", h, err)
	}
	if f := faults(t, s, false); len(f) > 0 {
		t.Errorf("faults: %+v", f)
	}
}

// What is asked about a message that is on a shelf is answered as for any other, and a person can be forgotten.
func TestARecordOnAShelfIsToldOfAndForgotten(t *testing.T) {
	t.Parallel()
	for kind, s := range map[string]*Store{"open": open(t, server.StartRedis(t).Addr),
		"sealed": openSealed(t, server.StartRedis(t).Addr, key(1))} {
		ctx, ids := t.Context(), idsOfNow(2)
		asked, other := shelve(t, s, 1, ids[0]), shelve(t, s, 2, ids[1])
		for verb, act := range map[string]func() (*Hold, error){
			"recall":  func() (*Hold, error) { return s.Recall(ctx, asked, alice) },
			"restore": func() (*Hold, error) { return s.Restore(ctx, asked, alice) },
			"release": func() (*Hold, error) { return s.Release(ctx, asked, alice) },
			"some": func() (*Hold, error) {
				return s.RecallOnly(ctx, asked, []string{office(1).Recipients[0].Address}, alice)
			},
		} {
			if _, err := act(); !errors.Is(err, ErrTooLate) && !errors.Is(err, ErrNotNow) {
				t.Errorf("%s: %s: %v", kind, verb, err)
			}
		}
		if shelfLength(t, s, asked) != shelfShortest {
			t.Errorf("%s: it left its shelf, and nothing was done to it", kind)
		}
		traces, err := s.Traces(ctx, office(1).Sender.Address)
		if err != nil || !slices.Equal(traces.Records, ids[:1]) {
			t.Fatalf("%s: found %+v, %v", kind, traces, err)
		}
		if n, err := s.ForgetPerson(ctx, office(1).Sender.Address, traces, alice); err != nil || n != 1 {
			t.Errorf("%s: forgotten are %d, %v", kind, n, err)
		}
		if _, err := s.Get(ctx, asked); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: what was forgotten: %v", kind, err)
		}
		if h, err := s.Get(ctx, other); err != nil || h.MessageID != office(2).MessageID {
			t.Errorf("%s: the other: %+v, %v", kind, h, err)
		}
		if f := faults(t, s, false); len(f) > 0 {
			t.Errorf("%s: faults: %+v", kind, f)
		}
	}
}

// What is on a shelf can be anything after a fault of a disk or of a hand.
func FuzzOffShelf(f *testing.F) {
	f.Add(aFront + someNumbers + "\x01\x20\x01\x00")
	f.Fuzz(func(t *testing.T, value string) {
		if fields := offShelf(idsOfNow(1)[0], value); fields != nil {
			unpacked(fields)
		}
	})
}

// What a record on a shelf begins with.
const (
	aFront      = "\x01\xa0\x00\x00\x00\x00\x01\x9f\x00\x00\x00\x00"
	someNumbers = "\x00\x00\x00\x01\x01\x01N" // no moment, grace or size, one recipient, one piece, a nonce
)

// Scripts and Go read the same of what is on a shelf, sound or damaged, and nothing that a hash would not have.
func TestScriptsReadWhatGoReadsOnAShelf(t *testing.T) {
	t.Parallel()
	s := open(t, server.StartRedis(t).Addr)
	at := s.nodes.Shards[0]
	h, _ := sent(t, s, office(1), nil)
	keys, names := shelfKeys(at, h.ID)
	sound := s.nodes.Client.HGet(t.Context(), keys[0], names[0]).Val()
	values := []any{sound, aFront + someNumbers + "\x00\x00", aFront + "\x00\x00\x00\xff\xff\x7f\x01\x01N\x00\x00",
		aFront + "\x00\x00\x00\x01" + strings.Repeat("\x80", 7) + "\x01\x01N\x00\x00",
		aFront + strings.Repeat("\x80", 12) + someNumbers + "\x00\x00", aFront + someNumbers + "\x00\x01"}
	random := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		some := []byte(sound)
		for range 1 + random.IntN(3) {
			n := random.IntN(min(len(some), shelfFront+60)) // what is behind is field x
			new := make([]byte, random.IntN(3))
			for i := range new {
				new[i] = byte(random.Uint32())
			}
			some = slices.Replace(some, n, n+1, new...)
		}
		values = append(values, string(some))
	}
	script := drain(`
local all = {}
for i = 2, #ARGV do
  local fine, o = pcall(opened, ARGV[1], ARGV[i])
  local line = fine and table.concat({o.held_at, o.grace, o.size, o.nrcpt, o.nonce, o.chunks, o.ix}, ' ') .. '\n'
  all[i - 1] = fine and {line, o.o or '', o.x, int(o.ends), read({'p', line}).due == o.due and 'apart' or ''} or {}
end
return all
`)
	read := 0
	for some := range slices.Chunk(values, 200) {
		answers, err := s.nodes.Run(t.Context(), at, script, append([]any{h.ID}, some...)...).Slice()
		if err != nil {
			t.Fatal(err)
		}
		for n, value := range some {
			want := []any{}
			if f := offShelf(h.ID, value.(string)); f != nil {
				want = []any{f["p"], f["o"], f["x"], fmt.Sprint(endOf(value.(string))), "apart"}
				read++
			}
			if !reflect.DeepEqual(answers[n], want) {
				t.Errorf("%q: a script reads %q, and Go %q", value, answers[n], want)
			}
		}
	}
	if read < len(values)/10 || read > len(values)*9/10 {
		t.Errorf("%d of %d can be read", read, len(values))
	}
}

// However long records are kept, they say when their message was released.
func TestARecordThatIsKeptForVeryLongSaysWhenItsMessageWasReleased(t *testing.T) {
	t.Parallel()
	s := keeping(t, server.StartRedis(t).Addr, 100*365*24*time.Hour)
	id := shelve(t, s, 1, idsOfNow(1)[0])
	if shelfLength(t, s, id) != shelfShortest {
		t.Fatal("it is not on a shelf")
	}
	h, wrong := s.Get(t.Context(), id)
	at, _, err := s.LeftAt(t.Context(), id)
	if err != nil || wrong != nil || at.Before(h.HeldAt) || at.After(time.Now()) {
		t.Errorf("it was released at %v, %v, %v", at, err, wrong)
	}
}

// An owner that can't be read keeps no message from being settled: else it would be sent again and again.
func TestAMessageOfADamagedOwnerIsSettled(t *testing.T) {
	t.Parallel()
	s := open(t, server.StartRedis(t).Addr)
	for n, owner := range []string{"@", "@x 1 2", "l 1 2", "lAAAA 1 2", "l@ 1 2", "l\xff@AAAA 1 2", "1 2"} {
		p := s.Put(office(n), []byte("Subject: x\r\n"))
		if _, err := p.Commit(t.Context(), Terms{Rule: "default"}); err != nil {
			t.Fatal(err)
		}
		if err := s.nodes.Client.HSet(t.Context(), holdKey(p.at, p.id), "o", owner).Err(); err != nil {
			t.Fatal(err)
		}
		results := map[int]Result{0: {Outcome: Sent}, 1: {Outcome: Sent}}
		if err := s.Settle(t.Context(), claimOne(t, s), Settlement{Results: results}); err != nil {
			t.Errorf("%s: %v", owner, err)
		}
		if h, err := s.Get(t.Context(), p.id); err != nil || h.State != Released {
			t.Errorf("%s: %+v, %v", owner, h, err)
		}
	}
}

// A record on a shelf that can't be read costs only itself, is named, and goes when the store would let it go.
func TestADamagedRecordOnAShelfCostsOnlyItself(t *testing.T) {
	t.Parallel()
	for what, value := range map[string]string{"nothing": "", "short": "x", "cut": aFront + "\xff",
		"many pieces":         aFront + "\x00\x00\x00\x01" + strings.Repeat("\x80", 7) + "\x01\x01N\x00\x00",
		"an entry of no kind": aFront + someNumbers + "\x01\xff\xff\x00"} {
		s := open(t, server.StartRedis(t).Addr)
		ctx, ids := t.Context(), idsOfNow(2)
		victim, other := shelve(t, s, 1, ids[0]), shelve(t, s, 2, ids[1])
		keys, fields := shelfKeys(s.nodes.Of(victim), victim)
		if s.nodes.Client.HSet(ctx, keys[0], fields[0], value).Err() != nil {
			t.Fatal("no harm was done")
		}
		if _, err := s.Get(ctx, victim); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: found by its ID: %v", what, err)
		}
		if _, err := s.Recall(ctx, victim, alice); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: recalled: %v", what, err)
		}
		if err := s.Note(ctx, victim, Event{Verb: "noted"}); err == nil {
			t.Errorf("%s: something was noted in it", what)
		}
		if shelfLength(t, s, victim) == 0 {
			t.Errorf("%s: it left its shelf", what)
		}
		if h, err := s.Get(ctx, other); err != nil || h.MessageID != office(2).MessageID {
			t.Errorf("%s: the other: %+v, %v", what, h, err)
		}
		for _, repair := range []bool{false, true} {
			if !slices.ContainsFunc(faults(t, s, repair), func(f Fault) bool {
				return f.Name == victim && strings.Contains(f.What, "can not be read")
			}) {
				t.Errorf("%s: fsck does not show it", what)
			}
		}
		if _, err := s.Reap(ctx); err != nil {
			t.Fatal(err)
		}
		if got := listedIDs(t, s); !slices.Contains(got, other) {
			t.Errorf("%s: left are %v", what, got)
		}
	}
}

// A record on a shelf that can't be read, and that somebody has put where something waits, keeps nothing else from its
// way.
func TestADamagedRecordOnAShelfStandsInNobodysWay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		state State
		hash  bool // there is also a hash of its name, of which nobody can read what it was
	}{{Held, false}, {Held, true}, {Releasing, false}, {Releasing, true}} {
		for _, early := range []bool{true, false} { // it is met before the other, or after it
			s := open(t, server.StartRedis(t).Addr)
			s.lease = time.Millisecond
			ctx, at, r, score := t.Context(), s.nodes.Shards[0], s.nodes.Client, 1.0
			victim := shelve(t, s, 1, idsOfNow(1)[0])
			keys, fields := shelfKeys(at, victim)
			r.HSet(ctx, keys[0], fields[0], "x")
			if c.hash {
				r.HSet(ctx, holdKey(at, victim), "late", "1")
			}
			other := put(t, s, "m", 0, "").ID
			claimOne(t, s)
			if !early {
				score = float64(time.Now().UnixMilli())
			}
			r.ZAdd(ctx, stateKey(at, c.state), redis.Z{Score: score, Member: victim})
			server.Eventually(t, "the other is sent once its lease has ended", func() bool {
				if _, err := s.Reap(ctx); err != nil {
					t.Fatalf("%+v: %v", c, err)
				}
				claimed, err := s.Claim(ctx, 10)
				if err != nil {
					t.Fatalf("%+v: %v", c, err)
				}
				return len(claimed) == 1 && claimed[0].ID == other
			})
		}
	}
}

// listedIDs are those of all that is released.
func listedIDs(t *testing.T, s *Store) (ids []string) {
	t.Helper()
	for h, err := range s.Find(t.Context(), Query{States: []State{Released}}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, h.ID)
	}
	return ids
}

// Records of one time fill one shelf after the other, and each is found: by its ID, by its names, and in the list.
func TestManyRecordsStandOnSeveralShelves(t *testing.T) {
	t.Parallel()
	s := openWith(t, Options{Addresses: []string{server.StartRedis(t, "--appendfsync", "no").Addr}, Durability: "relaxed"})
	const records = 3 * shelfMost
	var want []string
	for n := range records {
		h, _ := sent(t, s, office(n), nil)
		want = append(want, h.ID)
	}
	lengths := map[int]bool{}
	for _, shelf := range s.nodes.Client.ZRange(t.Context(), endsKey(s.nodes.Shards[0]), 0, -1).Val() {
		lengths[len(shelf)] = true
		if n := s.nodes.Client.HLen(t.Context(), string(s.nodes.Shards[0])+"r:"+shelf).Val(); n > shelfMost {
			t.Errorf("%d are on shelf %s", n, shelf)
		}
	}
	if len(lengths) < 2 {
		t.Errorf("shelves have names of %v characters", lengths)
	}
	if got := listedIDs(t, s); len(got) != len(want) || !slices.Equal(distinct(got), want) {
		t.Errorf("listed are %d of %d, or others", len(got), len(want))
	}
	if st, err := s.Stats(t.Context()); err != nil || st.Count[Released] != records {
		t.Errorf("counted are %d, %v", st.Count[Released], err)
	}
	for _, n := range []int{0, records / 2, records - 1} {
		sub := office(n)
		if h, err := s.Get(t.Context(), strings.ToLower(want[n])); err != nil || h.MessageID != sub.MessageID {
			t.Errorf("by its ID: %+v, %v", h, err)
		}
		for h, err := range s.Find(t.Context(), Query{States: allStates, Recipient: sub.Recipients[1].Address}) {
			if err != nil || h.ID != want[n] {
				t.Errorf("by a recipient: %+v, %v", h, err)
			}
		}
	}
	if f := faults(t, s, false); len(f) > 0 {
		t.Errorf("faults: %+v", f)
	}
}

// Whoever asks again for a hold that was made hears of that one, also when it has left meanwhile.
func TestACommitThatIsRepeatedMeetsARecordOnAShelf(t *testing.T) {
	t.Parallel()
	s := open(t, server.StartRedis(t).Addr)
	p := s.Put(submission("again"), []byte("Subject: x\r\n"))
	first, err := p.Commit(t.Context(), Terms{Rule: "default"})
	if err != nil {
		t.Fatal(err)
	}
	c := claimOne(t, s)
	results := map[int]Result{0: {Outcome: Sent}, 1: {Outcome: Sent}}
	if err := s.Settle(t.Context(), c, Settlement{Results: results}); err != nil {
		t.Fatal(err)
	}
	if shelvedFields(t, s, first.ID) == nil {
		t.Fatal("it is not on a shelf")
	}
	again, err := p.Commit(t.Context(), Terms{Rule: "default"})
	if err != nil || again.ID != first.ID {
		t.Errorf("it is held as %s, and was %s: %v", again.ID, first.ID, err)
	}
}

// When a message has a hash of its own, that counts, and what is on a shelf goes without taking anything along.
func TestARecordThatHasAHashLeavesItsShelf(t *testing.T) {
	t.Parallel()
	for what, goes := range map[string]func(s *Store, id string) bool{
		"fsck": func(s *Store, id string) bool {
			found := faults(t, s, true)
			return len(found) == 1 && found[0].Name == id && strings.Contains(found[0].What, "a record of its own")
		},
		"reap": func(s *Store, id string) bool {
			_, err := s.Reap(t.Context())
			return err == nil
		},
	} {
		s := open(t, server.StartRedis(t).Addr)
		ctx, at, r := t.Context(), s.nodes.Shards[0], s.nodes.Client
		id := shelve(t, s, 1, idsOfNow(1)[0])
		keys, names := shelfKeys(at, id)
		value := r.HGet(ctx, keys[0], names[0]).Val()
		if err := s.Note(ctx, id, Event{Verb: "noted"}); err != nil {
			t.Fatal(err)
		}
		r.HSet(ctx, keys[0], names[0], "\x00\x00\x00\x00\x00\x01"+value[6:])
		r.ZAdd(ctx, endsKey(at), redis.Z{Score: 1, Member: id[:shelfShortest]})
		r.Incr(ctx, shelvedKey(at))
		if !goes(s, id) || shelfLength(t, s, id) != 0 {
			t.Errorf("%s: it is still on its shelf", what)
		}
		if h, err := s.Get(ctx, id); err != nil || h.MessageID != office(1).MessageID {
			t.Errorf("%s: %+v, %v", what, h, err)
		}
		if f := faults(t, s, false); len(f) > 0 {
			t.Errorf("%s: faults: %+v", what, f)
		}
	}
}

// Whoever looks for a record while it leaves its shelf finds it.
func TestARecordThatLeavesItsShelfMeanwhileIsFound(t *testing.T) {
	t.Parallel()
	for what, state := range map[string]func(s *Store, id string) (State, error){
		"a read": func(s *Store, id string) (State, error) {
			h, err := s.Get(t.Context(), id)
			if err != nil {
				return "", err
			}
			return h.State, nil
		},
		"a look at states": func(s *Store, id string) (State, error) {
			all, err := s.States(t.Context(), []string{id})
			return all[0], err
		},
	} {
		s := open(t, server.StartRedis(t).Addr)
		id := shelve(t, s, 1, idsOfNow(1)[0])
		left := false
		s.nodes.Client.AddHook(&afterReads{act: func() {
			left = s.Note(t.Context(), id, Event{Verb: "noted"}) == nil
		}})
		if got, err := state(s, id); err != nil || got != Released || !left {
			t.Errorf("%s: %q, %v; it has left its shelf: %v", what, got, err, left)
		}
	}
}

// A list of what was released has each record once, also one that leaves its shelf meanwhile, before or after the shelf
// was read.
func TestAListHasWhatLeavesItsShelfMeanwhileOnce(t *testing.T) {
	t.Parallel()
	const records, page = 3 * shelvesAtOnce, 2
	for _, before := range [][]int{{records - 1}, {3, 4, 5, 6, records - 1}} { // less than a page has left, or more
		s := open(t, server.StartRedis(t).Addr)
		var want []string
		for n := range records { // each on a shelf of its own
			id := holdid.New(time.Now().Add(time.Duration(n-records) * time.Minute))
			want = append(want, shelve(t, s, n, id))
		}
		leave := func(all ...int) {
			t.Helper()
			for _, n := range all {
				err := s.Note(t.Context(), want[n], Event{Verb: "noted"})
				if err != nil || shelfLength(t, s, want[n]) != 0 {
					t.Fatalf("record %d does not leave its shelf: %v", n, err)
				}
			}
		}
		leave(before...)
		m := &merge{walks: s.walksIn(s.nodes.Shards[0], Released, page)}
		got, err := m.next(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		leave(0, 1, 7, 2*shelvesAtOnce, records-2) // three of them are read
		for more := got; len(more) > 0; got = append(got, more...) {
			if more, err = m.next(t.Context(), 3); err != nil {
				t.Fatal(err)
			}
		}
		slices.Sort(got) // of two that were released in one millisecond either may come first
		if !slices.Equal(got, want) {
			t.Errorf("%d of %d:\n%q, want\n%q", len(got), len(want), got, want)
		}
	}
}

// A record whose hash was still there when Reap came by its name, and which has gone onto a shelf since, is put nowhere
// else: a list would have it twice.
func TestARecordThatWentOntoAShelfMeanwhileIsNotPutBack(t *testing.T) {
	t.Parallel()
	s := open(t, server.StartRedis(t).Addr)
	id := shelve(t, s, 1, holdid.New(time.Now()))
	if n, err := s.repair(t.Context(), []string{holdKey(s.nodes.Of(id), id)}); err != nil || n != 0 {
		t.Errorf("%d put back, %v", n, err)
	}
	if got := listedIDs(t, s); !slices.Equal(got, []string{id}) {
		t.Errorf("a list has %q", got)
	}
	if f := faults(t, s, false); len(f) > 0 {
		t.Errorf("faults: %+v", f)
	}
}

// Fsck finds what is wrong with shelves, and repairs it.
func TestFsckLooksAtShelves(t *testing.T) {
	t.Parallel()
	s := open(t, server.StartRedis(t).Addr)
	ctx, at, r := t.Context(), s.nodes.Shards[0], s.nodes.Client
	h, _ := sent(t, s, office(1), nil)
	shelf, number := h.ID[:shelfShortest], holdid.Number(h.ID)
	entry := s.entries("m", h.MessageID)[0]
	sound := picture(t, s)
	for want, harm := range map[string]func(){
		"a search by index would miss it": func() { r.SRem(ctx, indexKey(at, entry), number) },
		"would stay for too long":         func() { r.ZRem(ctx, endsKey(at), shelf) },
		"it counts 8 records in":          func() { r.IncrBy(ctx, shelvedKey(at), 7) },
		"it counts -6 records in":         func() { r.DecrBy(ctx, shelvedKey(at), 7) },
		"stands among what is held":       func() { r.ZAdd(ctx, stateKey(at, Held), redis.Z{Score: 1, Member: h.ID}) },
		"its records would end":           func() { r.ZAdd(ctx, endsKey(at), redis.Z{Score: 1e15, Member: "22222"}) },
	} {
		harm()
		if f := faults(t, s, true); len(f) != 1 || !strings.Contains(f[0].What, want) || !f[0].Repaired {
			t.Errorf("%s: fixed %+v", want, f)
		}
		if f := faults(t, s, false); len(f) > 0 {
			t.Errorf("%s: after it was fixed: %+v", want, f)
		}
		if is := picture(t, s); !maps.Equal(is, sound) {
			t.Errorf("%s: fixing made %s", want, fmt.Sprint(is))
		}
	}
}
