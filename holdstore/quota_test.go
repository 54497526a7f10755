package holdstore

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// putAs holds a message of a login, or without one of a client.
func putAs(t *testing.T, s *Store, login, client, mark string, grace time.Duration, body string) (Committed, error) {
	t.Helper()
	sub := submission(mark)
	sub.Login, sub.Client.Address, sub.Sender.Address = login, client, mark+"@corp.test"
	p := s.Put(sub, []byte(header(mark)))
	defer p.Abandon()
	if err := p.Write(t.Context(), []byte(body)); err != nil {
		return Committed{}, err
	}
	return p.Commit(t.Context(), Terms{Rule: "default", Grace: grace})
}

// incompressible is a text that stays as long.
func incompressible(n int, seed uint64) string {
	b := make([]byte, n)
	for i := range b {
		seed ^= seed << 13
		seed ^= seed >> 7
		seed ^= seed << 17
		b[i] = byte(32 + seed%95)
	}
	return string(b)
}

// One login, or one client without a login, sends what it can with the longest wish: it gets its part, hears why it
// gets no more, and the others' mail is held.
func TestOneSenderDoesNotFillTheStore(t *testing.T) {
	t.Parallel()
	const most = 48 << 20
	for name, c := range map[string]struct {
		login, client string
		size          int
		parts         int64
	}{
		"small messages":  {"mallory", "192.0.2.66", 20_000, ownParts},
		"large messages":  {"mallory", "192.0.2.66", 3 << 20, ownParts},
		"without a login": {"", "192.0.2.66", 200_000, 2}, // half of what is free
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := cramped(t, fmt.Sprint(most))
			var refused error
			before, n := usedBy(t, s), 0
			for ; refused == nil && n < 10_000; n++ {
				_, refused = putAs(t, s, c.login, c.client, fmt.Sprint("m", n), 24*time.Hour, incompressible(c.size, uint64(n+1)))
			}
			if !errors.Is(refused, ErrQuota) {
				t.Fatalf("after %d messages: %v", n, refused)
			}
			if used := usedBy(t, s) - before; used > most/c.parts*5/4 || used < most/c.parts/2 {
				t.Errorf("it has %d of %d bytes", used, most)
			}
			for user := range 20 {
				if _, err := putAs(t, s, fmt.Sprint("user", user), "192.0.2.1", "u", time.Hour,
					incompressible(50_000, uint64(user+1))); err != nil {
					t.Errorf("user %d: %v", user, err)
				}
			}
			if _, err := putAs(t, s, c.login, c.client, "again", 24*time.Hour, incompressible(c.size, 77)); !errors.Is(err,
				ErrQuota) {
				t.Errorf("more: %v", err)
			}
		})
	}
}

// What an owner is charged for goes back when the message has left, is forgotten, or when the content of a recalled one
// has.
func TestAnOwnerIsChargedForWhatIsThere(t *testing.T) {
	t.Parallel()
	r := server.StartRedis(t, "--appendfsync", "no")
	s, err := Open(Options{Addresses: []string{r.Addr}, Durability: "relaxed", RecallRetention: 300 * time.Millisecond,
		RecordRetention: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	owns := func() charges {
		return parseCharges(s.nodes.Client.HGet(t.Context(), ownKey(s.nodes.Shards[0]), "l"+digest("mallory")).Val())
	}
	one, err := putAs(t, s, "mallory", "", "one", 0, "x")
	if err != nil {
		t.Fatal(err)
	}
	two, err := putAs(t, s, "mallory", "", "two", time.Hour, strings.Repeat("x", 3*chunkSize))
	if err != nil || owns().n != 2 {
		t.Fatalf("%v, it has %v", err, owns())
	}
	c := claimOne(t, s)
	if err := s.Settle(t.Context(), c, Settlement{Results: map[int]Result{0: {Outcome: Sent},
		1: {Outcome: Sent}}}); err != nil || c.ID != one.ID || owns().n != 1 {
		t.Fatalf("%v, after the release it has %v", err, owns())
	}
	if _, err := s.Recall(t.Context(), two.ID, alice); err != nil || owns().n != 1 {
		t.Fatalf("%v, after the recall it has %v", err, owns())
	}
	if _, err := s.Restore(t.Context(), two.ID, alice); err != nil || owns().n != 1 {
		t.Fatalf("%v, after the restore it has %v", err, owns())
	}
	if _, err := s.Recall(t.Context(), two.ID, alice); err != nil {
		t.Fatal(err)
	}
	server.Eventually(t, "the content is gone, and the charge", func() bool {
		s.Reap(t.Context())
		return owns().n == 0 && owns().b == 0
	})
	server.Eventually(t, "the records are gone, and the charge", func() bool {
		s.Reap(t.Context())
		return slices.Equal(s.nodes.Client.HKeys(t.Context(), ownKey(s.nodes.Shards[0])).Val(), []string{"room"})
	})
}

// An owner with more than their part of the records keeps them for a short time only; nobody else does.
func TestRecordsOfABusySenderGoSooner(t *testing.T) {
	t.Parallel()
	s, _ := cramped(t, "16mb")
	ends := func(id string) time.Duration {
		ms, err := s.nodes.Client.ZScore(t.Context(), stateKey(s.nodes.Shards[0], Released), id).Result()
		if err != nil {
			t.Fatal(err)
		}
		return time.Until(time.UnixMilli(int64(ms)))
	}
	sent := func(login string, n int) (last string) {
		for i := range n {
			sub := submission(fmt.Sprint(login, i))
			sub.Login = login
			for r := range 100 {
				sub.Recipients = append(sub.Recipients,
					Path{Address: fmt.Sprintf("%s%d@%s.test", strings.Repeat("a", 200), r, strings.Repeat("b", 200))})
			}
			p := s.Put(sub, []byte(header(login)))
			got, err := p.Commit(t.Context(), Terms{})
			if err != nil {
				t.Fatal(err)
			}
			s.Confirm(got)
			c := claimOne(t, s)
			results := map[int]Result{}
			for n := range c.Recipients {
				results[n] = Result{Outcome: Sent}
			}
			if err := s.Settle(t.Context(), c, Settlement{Results: results}); err != nil {
				t.Fatal(err)
			}
			last = c.ID
		}
		return last
	}
	if got := ends(sent("mallory", 1)); got < 6*24*time.Hour {
		t.Errorf("the first record ends in %v", got)
	}
	if got := ends(sent("mallory", 140)); got > crowdedRecord {
		t.Errorf("a record beyond the part ends in %v", got)
	}
	if got := ends(sent("anna", 1)); got < 6*24*time.Hour {
		t.Errorf("another's record ends in %v", got)
	}
}
