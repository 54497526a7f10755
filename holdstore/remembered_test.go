package holdstore

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

func TestAMessageThatCameInByTwoTransactionsIsOne(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	r := Remembered{MessageID: "<1@far.test>", From: "a@far.test", Subjects: []string{"x"}, Lock: "sha256:a",
		At: time.Now()}
	first, second, other := r, r, r
	first.Recipients, second.Recipients, other.Recipients, other.Lock = []string{"b@corp.test"}, []string{"c@corp.test"},
		[]string{"d@corp.test"}, ""
	if err := s.Remember(t.Context(), []Remembered{first, second, other}, time.Hour); err != nil {
		t.Fatal(err)
	}
	for _, by := range []string{"<1@far.test>", ""} {
		asked := []string{"b@corp.test", "c@corp.test", "d@corp.test"}
		all, err := s.FindRemembered(t.Context(), "a@far.test", by, "x", asked)
		if err != nil || len(all) != 2 {
			t.Fatal(all, err)
		}
		if !slices.ContainsFunc(all, func(r Remembered) bool {
			return r.WentTo([]string{"b@corp.test", "c@corp.test"}) && !r.WentTo([]string{"d@corp.test"})
		}) {
			t.Errorf("not joined: %+v", all)
		}
	}
}

// Anybody can send a mail with somebody else's From and Message-ID, and a lock to which he has the key.
func TestASecondMessageWithTheSameIDReplacesNoLock(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	r := Remembered{MessageID: "<1@far.test>", From: "a@far.test", Recipients: []string{"b@corp.test"}, Lock: "sha256:a",
		At: time.Now()}
	forged := r
	forged.Lock, forged.At = "sha256:b", r.At.Add(time.Minute)
	if err := s.Remember(t.Context(), []Remembered{r, forged}, time.Hour); err != nil {
		t.Fatal(err)
	}
	all, err := s.FindRemembered(t.Context(), r.From, r.MessageID, "", nil)
	if err != nil || len(all) != 1 || all[0].Lock != r.Lock {
		t.Errorf("%+v, %v", all, err)
	}
}

// Anybody can send a message in thousands of transactions to a thousand recipients each. Whoever looks for it, as for
// each recall that a stranger writes, reads of them only what is asked about.
func TestAMessageToMillionsTakesLittleMemory(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	r := Remembered{MessageID: "<1@far.test>", From: "a@far.test", Subjects: []string{"x"}, At: time.Now()}
	for n := range 200 {
		r.Recipients = nil
		for to := range MaxRemembered {
			r.Recipients = append(r.Recipients, fmt.Sprintf("u+%d-%d@corp.test", n, to))
		}
		if err := s.Remember(t.Context(), []Remembered{r}, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	asked := []string{"u+7-900@corp.test", "u+150-1@corp.test"}
	for _, by := range []string{"<1@far.test>", ""} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		all, err := s.FindRemembered(t.Context(), r.From, by, "x", asked)
		runtime.ReadMemStats(&after)
		if err != nil || len(all) != 1 || !all[0].WentTo(asked) || len(all[0].Recipients) != len(asked)+1 {
			t.Fatalf("%+v, %v", all, err)
		}
		if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 10 {
			t.Errorf("it takes %d MiB", took)
		}
	}
}

// Whoever claims a Message-ID with thousands of locks of their own costs little, and hides no message that was there
// before.
func TestThousandsOfLocksOfOneMessageIDCostLittle(t *testing.T) {
	var j joined
	now := time.Now()
	genuine := Remembered{MessageID: "<1@x.test>", Lock: "sha256:genuine", At: now}
	stored := []string{string(packReceived(genuine, now.Add(time.Hour)))}
	for n := range 5000 {
		forged := Remembered{MessageID: "<1@x.test>", Lock: fmt.Sprint("sha256:", n),
			At: now.Add(time.Duration(n+1) * time.Second)}
		stored = append(stored, string(packReceived(forged, now.Add(time.Hour))))
	}
	slices.Reverse(stored) // in no order that helps
	for _, s := range stored {
		j.add(s)
	}
	if len(j.all) > locksMost || !slices.ContainsFunc(j.all, func(r Remembered) bool { return r.Lock == genuine.Lock }) {
		t.Errorf("%d are kept", len(j.all))
	}
}

// Moments are stored as differences; what is read of them is what was written, by whatever clock.
func TestMomentsOfWhatCameInStayAsTheyWere(t *testing.T) {
	at := time.Now().UTC().Truncate(time.Millisecond)
	for _, sent := range []time.Time{{}, at.Truncate(time.Second), at.Add(-time.Hour).Truncate(time.Second),
		at.Add(time.Second).Truncate(time.Second), at.Add(300 * 24 * time.Hour).Truncate(time.Second),
		time.Unix(1, 0).UTC()} {
		r := Remembered{MessageID: "<1@x.test>", Sent: sent, At: at}
		got, ok := unpackReceived(string(packReceived(r, at.Add(time.Hour))), func(string) bool { return true })
		if !ok || !got.Sent.Equal(sent) || !got.At.Equal(at) {
			t.Errorf("sent %v, came %v: read %v and %v, %v", sent, at, got.Sent, got.At, ok)
		}
	}
	const step = endStep * time.Second
	for ends, there := range map[time.Time]bool{at.Add(-2 * step): false, at.Add(2 * step): true} {
		for _, came := range []time.Time{at, at.Add(-time.Hour), at.Add(1000 * time.Hour)} {
			r := Remembered{MessageID: "<1@x.test>", At: came}
			if _, ok := unpackReceived(string(packReceived(r, ends)), nil); ok != there {
				t.Errorf("came %v, ends %v: %v", came, ends, ok)
			}
		}
	}
}
