package holdstore

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/test/server"
)

// cramped is a store with so little memory, which never waits for a disk.
func cramped(t *testing.T, memory string) (*Store, *server.Redis) {
	t.Helper()
	r := server.StartRedis(t, "--appendfsync", "no", "--maxmemory", memory, "--hash-max-listpack-value", "1024")
	s, err := Open(Options{Addresses: []string{r.Addr}, Durability: "relaxed"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, r
}

// usedBy is the memory that Redis takes.
func usedBy(t *testing.T, s *Store) int64 {
	t.Helper()
	info, err := s.nodes.Client.(*redis.Client).InfoMap(t.Context(), "memory").Result()
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.ParseInt(info["Memory"]["used_memory"], 10, 64)
	return n
}

// strangers send n messages, each another one, from as many networks; n is also where their numbers begin.
func strangers(t *testing.T, s *Store, from, n, networks int) {
	t.Helper()
	for ; n > 0; n -= 100 {
		var all []Remembered
		for range min(n, 100) {
			all = append(all,
				Remembered{MessageID: fmt.Sprintf("<%d.as-long-as-they-often-are@mail.stranger.test>", from), At: time.Now(),
					From: fmt.Sprintf("s%d@stranger.test", from), Subjects: []string{fmt.Sprint("subject ", from)},
					Recipients: []string{"bert@corp.test"},
					Ways: []Way{{Client: fmt.Sprintf("10.%d.%d.1", from%networks/256, from%networks%256),
						Domain: "bounces.stranger.test"}}})
			from++
		}
		if err := s.Remember(t.Context(), all, 7*24*time.Hour); err != nil {
			t.Fatal(err)
		}
	}
}

func remembered(t *testing.T, s *Store) Remembering {
	t.Helper()
	st, err := s.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st.Remembering
}

// Strangers send for as long as they like: what is remembered of it stays within its part, each pushes out what their
// own network sent, and a hold finds room.
func TestStrangersFillNoMoreThanTheirPartOfTheStore(t *testing.T) {
	t.Parallel()
	const most = 32 << 20
	s, _ := cramped(t, "32mb")
	before := usedBy(t, s)
	friend := Remembered{MessageID: "<o@partner.test>", From: "anna@partner.test", Subjects: []string{"the price list"},
		Recipients: []string{"bert@corp.test"},
		Ways:       []Way{{Client: "192.0.2.1"}}, At: time.Now()}
	if err := s.Remember(t.Context(), []Remembered{friend}, time.Hour); err != nil {
		t.Fatal(err)
	}
	strangers(t, s, 0, 40_000, 20)
	r, used := remembered(t, s), usedBy(t, s)-before
	if r.Bytes > most/rememberParts || r.Messages < 10_000 || r.Early == 0 {
		t.Errorf("remembered after 40,000 messages: %+v", r)
	}
	if used > r.Bytes*5/4 || used < r.Bytes*3/4 {
		t.Errorf("it counts %d bytes, and takes %d", r.Bytes, used)
	}
	for _, id := range []string{friend.MessageID, ""} {
		if got, err := s.FindRemembered(t.Context(), friend.From, id, friend.bare(), nil); err != nil || len(got) != 1 {
			t.Errorf("the message of a quiet network is forgotten: %+v, %v", got, err)
		}
	}
	if got, err := s.FindRemembered(t.Context(), "s39999@stranger.test", "", "subject 39999", nil); err != nil ||
		len(got) != 1 {
		t.Errorf("the newest message of the flood is not remembered: %+v, %v", got, err)
	}
	if _, err := tryPut(s, "held", time.Hour, strings.Repeat("x", 10_000)); err != nil {
		t.Errorf("a hold finds no room: %v", err)
	}
}

// While held mail fills the store, what is remembered gives way before the store is full.
func TestRememberingGivesWayToHeldMail(t *testing.T) {
	t.Parallel()
	const most = 24 << 20
	s, _ := cramped(t, "24mb")
	strangers(t, s, 0, 12_000, 1000)
	if r := remembered(t, s); r.Bytes < most/rememberParts/2 {
		t.Fatalf("remembered before: %+v", r)
	}
	random := make([]string, 0)
	for n := range 64 {
		random = append(random, strings.ToUpper(strconv.FormatUint(uint64(n)*0x9E3779B97F4A7C15, 36)))
	}
	held := 0
	for n := 0; ; n++ {
		var body strings.Builder // that hardly gets smaller
		for i := range 2000 {
			body.WriteString(strconv.FormatUint(uint64(n*2000+i)*0x9E3779B97F4A7C15, 36) + random[i%64])
		}
		if n%20 == 0 {
			if _, err := s.Reap(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		sub := submission(fmt.Sprint("m", n))
		sub.Login = fmt.Sprint("user", n) // each has little, so that all together fill the store
		p := s.Put(sub, []byte(header("x")))
		p.Write(t.Context(), []byte(body.String()))
		_, err := p.Commit(t.Context(), Terms{Grace: time.Hour})
		if errors.Is(err, ErrFull) || errors.Is(err, ErrQuota) { // nobody may have more than half of what is free
			break
		}
		if err != nil || n > 5000 {
			t.Fatal(n, err)
		}
		held += body.Len()
	}
	if r := remembered(t, s); r.Bytes > 64<<10 {
		t.Errorf("the store is full, and %+v is remembered", r)
	}
	strangers(t, s, 20_000, 0, 10)
	t.Logf("%d bytes of bodies found room in a store of %d", held, most)
}

// rememberedMost is how many bytes of Redis a remembered message takes at most, with a tenth to spare: of strangers,
// among 20,000. docs/sizing.md has what that comes to among more, which share keys.
const rememberedMost = 415

func TestWhatIsRememberedIsSmall(t *testing.T) {
	t.Parallel()
	const messages = 20_000
	s, _ := cramped(t, "0")
	before := usedBy(t, s)
	strangers(t, s, 0, messages, 20)
	if each := (usedBy(t, s) - before) / messages; each > rememberedMost || each < rememberedMost/2 {
		t.Errorf("a message takes %d bytes, want at most %d, and not much less", each, rememberedMost)
	}
}

// Of a message that came in by two transactions, the second stays when the first one has to go, and is found by its
// subject. Nothing stays of a message that is forgotten.
func TestATransactionIsFoundByItsSubjectUntilItGoes(t *testing.T) {
	t.Parallel()
	s, r := cramped(t, "0")
	now := time.Now()
	message := func(to string, at time.Time) Remembered {
		return Remembered{MessageID: "<1@far.test>", From: "a@far.test", Subjects: []string{"x"}, At: at,
			Recipients: []string{to}, Ways: []Way{{Client: "192.0.2.1"}}}
	}
	all := []Remembered{message("b@corp.test", now.Add(-time.Second)), message("c@corp.test", now)}
	if err := s.Remember(t.Context(), all, time.Hour); err != nil {
		t.Fatal(err)
	}
	for _, most := range []int{1, 0} {
		if err := s.nodes.Run(t.Context(), s.nodes.Shards[0], giveWayScript, 1<<30, 1<<30, most,
			s.receivedParts()).Err(); err != nil {
			t.Fatal(err)
		}
		got, err := s.FindRemembered(t.Context(), "a@far.test", "", "x", []string{"c@corp.test"})
		if err != nil || len(got) != most || most == 1 && !got[0].WentTo([]string{"c@corp.test"}) {
			t.Errorf("of %d transactions it finds %+v, %v", most, got, err)
		}
	}
	if keys := r.Do("KEYS *in:*"); strings.Contains(keys, "in:m:") || strings.Contains(keys, "in:t:") {
		t.Errorf("it leaves %q", keys)
	}
}

// The reaper takes its time; what has ended is not found until then either.
func TestWhatHasEndedIsNotFound(t *testing.T) {
	t.Parallel()
	stored := string(packReceived(Remembered{delivered: []byte("x")}, time.Now().Add(-2*endStep*time.Second)))
	if _, ok := unpackReceived(stored, func(string) bool { return true }); ok || deliveredOf(stored) != "" {
		t.Error("it is found")
	}
	stored = string(packReceived(Remembered{delivered: []byte("x")}, time.Now().Add(time.Second)))
	if _, ok := unpackReceived(stored, func(string) bool { return true }); !ok || deliveredOf(stored) != "x" {
		t.Error("what has not ended is not found")
	}
}

// What has ended leaves the queues, and the counters go back.
func TestWhatIsRememberedEnds(t *testing.T) {
	t.Parallel()
	s, r := cramped(t, "0")
	for n := range 50 {
		some := Remembered{MessageID: fmt.Sprintf("<%d@x.test>", n), From: "a@x.test", At: time.Now(),
			Ways: []Way{{Client: "192.0.2.1"}}}
		if err := s.Remember(t.Context(), []Remembered{some}, 50*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	server.Eventually(t, "nothing is left", func() bool {
		s.Reap(t.Context())
		left := remembered(t, s)
		return left.Messages == 0 && left.Bytes == 0 && !strings.Contains(r.Do("KEYS *"), "inq:")
	})
}

func TestWhatIsStoredOfAMessageIsReadAsItWas(t *testing.T) {
	for name, r := range map[string]Remembered{
		"little": {At: time.UnixMilli(1).UTC()},
		"much": {MessageID: "<ü@x>", Lock: "sha256:x", At: time.UnixMilli(1_800_000_000_000).UTC(),
			Ways:       []Way{{Client: "192.0.2.1", Domain: "x.test", Aligned: true}, {Client: "2001:db8::1"}, {}},
			Recipients: []string{digest("b"), digest("c")}},
	} {
		got, ok := unpackReceived(string(packReceived(r, time.Now().Add(time.Hour))), func(string) bool { return true })
		if diff := cmp.Diff(r, got, cmpopts.IgnoreUnexported(Remembered{})); !ok || diff != "" {
			t.Errorf("%s: %v %s", name, ok, diff)
		}
	}
}

func FuzzReceived(f *testing.F) {
	f.Add(string(packReceived(Remembered{MessageID: "<a@b>", Ways: []Way{{Client: "::1"}},
		Recipients: []string{digest("b")}}, time.Unix(1<<40, 0))))
	f.Fuzz(func(t *testing.T, stored string) {
		if r, ok := unpackReceived(stored, func(string) bool { return true }); ok &&
			len(r.Ways)+len(r.Recipients) > len(stored) {
			t.Errorf("%d bytes are %d ways and %d recipients", len(stored), len(r.Ways), len(r.Recipients))
		}
	})
}
