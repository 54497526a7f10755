package holdstore

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// When the last of an owner is gone, nothing is left of the owner in the store, whoever it was and however it went.
func TestNothingIsLeftOfAnOwnerWhoseMessagesAreGone(t *testing.T) {
	t.Parallel()
	owners := map[string]Submission{
		"a login":               {Login: "anna", Sender: Path{Address: "anna@corp.test"}},
		"a client":              {Client: Client{Address: "192.0.2.1"}, Sender: Path{Address: "anna@corp.test"}},
		"a client, null sender": {Client: Client{Address: "192.0.2.1"}},
	}
	settled := func(t *testing.T, s *Store, results map[int]Result, retryIn time.Duration) {
		t.Helper()
		var due []*Claim
		server.Eventually(t, "it is due", func() bool {
			due, _ = s.Claim(t.Context(), 1)
			return len(due) > 0
		})
		if err := s.Settle(t.Context(), due[0], Settlement{Results: results, RetryIn: retryIn}); err != nil {
			t.Fatal(err)
		}
	}
	sent := Result{Outcome: Sent}
	for name, end := range map[string]func(t *testing.T, s *Store, id string) error{
		"all are sent": func(t *testing.T, s *Store, id string) error {
			settled(t, s, map[int]Result{0: sent, 1: sent}, 0)
			return nil
		},
		"one is refused, and one sent later": func(t *testing.T, s *Store, id string) error {
			settled(t, s, map[int]Result{0: {Outcome: Failed}}, time.Millisecond)
			settled(t, s, map[int]Result{1: sent}, 0)
			return nil
		},
		"one is taken back": func(t *testing.T, s *Store, id string) error {
			_, err := s.RecallOnly(t.Context(), id, []string{"b@x.test"}, alice)
			settled(t, s, map[int]Result{1: sent}, 0)
			return err
		},
		"it is recalled": func(t *testing.T, s *Store, id string) error {
			_, err := s.Recall(t.Context(), id, alice)
			return err
		},
		"its person is forgotten": func(t *testing.T, s *Store, id string) error {
			_, err := s.Recall(t.Context(), id, alice)
			traces, wrong := s.Traces(t.Context(), "b@x.test")
			_, again := s.ForgetPerson(t.Context(), "b@x.test", traces, alice)
			return errors.Join(err, wrong, again)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := server.StartRedis(t, "--appendfsync", "no")
			s, err := Open(Options{Addresses: []string{r.Addr}, Durability: "relaxed", RecallRetention: time.Millisecond,
				RecordRetention: time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			for name, sub := range owners {
				for n, size := range []int{1, 3 * chunkSize} {
					sub.MessageID, sub.Recipients = fmt.Sprintf("<%s%d@corp.test>", digest(name), n), nil
					for _, to := range []string{"b@x.test", "c@x.test"} {
						sub.Recipients = append(sub.Recipients, Path{Address: to})
					}
					p := s.Put(sub, []byte(header("x")))
					if err := p.Write(t.Context(), []byte(strings.Repeat("x", size))); err != nil {
						t.Fatal(err)
					}
					c, err := p.Commit(t.Context(), Terms{Rule: "default"})
					if err != nil {
						t.Fatal(err)
					}
					s.Confirm(c)
					if err := end(t, s, c.ID); err != nil {
						t.Fatalf("%s: %v", name, err)
					}
				}
			}
			server.Eventually(t, "their records end", func() bool {
				s.Reap(t.Context())
				return s.nodes.Client.Exists(t.Context(), stateKey(s.nodes.Shards[0], Recalled),
					stateKey(s.nodes.Shards[0], Released), endsKey(s.nodes.Shards[0])).Val() == 0
			})
			left := s.nodes.Client.HGetAll(t.Context(), ownKey(s.nodes.Shards[0])).Val()
			if len(left) != 1 || left["room"] == "" {
				t.Errorf("what is left of owners: %v", left)
			}
		})
	}
}
