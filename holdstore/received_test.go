package holdstore

import (
	"slices"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

func TestAMessageThatCameInByTwoTransactionsIsOne(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	r := Received{MessageID: "<1@far.test>", From: "a@far.test", Subjects: []string{"x"}, Lock: "sha256:a", At: time.Now()}
	first, second, other := r, r, r
	first.Recipients, second.Recipients, other.Recipients, other.Lock = []string{"b@corp.test"}, []string{"c@corp.test"}, []string{"d@corp.test"}, ""
	if err := s.Remember(t.Context(), []Received{first, second, other}, time.Hour); err != nil {
		t.Fatal(err)
	}
	for _, by := range []string{"<1@far.test>", ""} {
		all, err := s.Remembered(t.Context(), "a@far.test", by, "x")
		if err != nil || len(all) != 2 {
			t.Fatal(all, err)
		}
		if !slices.ContainsFunc(all, func(r Received) bool {
			return r.WentTo([]string{"b@corp.test", "c@corp.test"}) && !r.WentTo([]string{"d@corp.test"})
		}) {
			t.Errorf("not joined: %+v", all)
		}
	}
}

// Anybody can send a mail with somebody else's From and Message-ID, and a lock to which he has the key.
func TestASecondMessageWithTheSameIDReplacesNoLock(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	r := Received{MessageID: "<1@far.test>", From: "a@far.test", Recipients: []string{"b@corp.test"}, Lock: "sha256:a", At: time.Now()}
	forged := r
	forged.Lock, forged.At = "sha256:b", r.At.Add(time.Minute)
	if err := s.Remember(t.Context(), []Received{r, forged}, time.Hour); err != nil {
		t.Fatal(err)
	}
	all, err := s.Remembered(t.Context(), r.From, r.MessageID, "")
	if err != nil || len(all) != 1 || all[0].Lock != r.Lock {
		t.Errorf("%+v, %v", all, err)
	}
}
