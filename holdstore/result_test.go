package holdstore

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// sealedHold is a store with a key, somebody who writes to its Redis, and a hold of alice for b@x.test and c@x.test.
func sealedHold(t *testing.T) (s *Store, w intruder, id string) {
	t.Helper()
	s = openSealed(t, server.StartRedis(t).Addr, key(1))
	sub := submission("one")
	sub.Recipients = []Path{{Address: "b@x.test"}, {Address: "c@x.test"}}
	sub.Login, sub.Subject = "alice", "topsecret"
	r, err := s.Put(sub, []byte(header("one"))).Commit(t.Context(), Terms{Grace: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return s, intruder{t, s}, r.ID
}

// Whoever makes a message look recalled, so that its sender's recall finds nothing to do, can't have it sent later.
func TestARecallTakesTheTicketWhateverTheRecordSays(t *testing.T) {
	const recalled = `{"o":"recalled","t":1}`
	forgeries := map[string][]any{
		"the state":             {"state", "recalled"},
		"all of it":             {"state", "recalled", "np", 0, "r0", recalled, "r1", recalled},
		"the results":           {"np", 0, "r0", recalled, "r1", recalled},
		"results cut off":       {"np", 0, "r0", `{"o":"unknown","c":true}`, "r1", `{"o":"unknown","c":true}`},
		"the counter":           {"np", 0},
		"a counter of letters":  {"np", "x"},
		"results of no meaning": {"r0", "{", "r1", "7"},
	}
	recalls := map[string]func(w intruder, id string) error{
		"for all": func(w intruder, id string) error {
			_, err := w.s.Recall(w.t.Context(), id, alice)
			return err
		},
		"for both": func(w intruder, id string) error {
			_, err := w.s.RecallOnly(w.t.Context(), id, []string{"b@x.test", "c@x.test"}, alice)
			return err
		},
		"in bulk": func(w intruder, id string) (wrong error) {
			err := w.s.Bulk(w.t.Context(), w.s.Recalling(), []string{id}, alice, func(acted []Acted) {
				wrong = acted[0].Err
			})
			return errors.Join(err, wrong)
		},
		"by a replacement": func(w intruder, id string) error {
			_, err := w.s.Put(submission("two"), []byte(header("two"))).Commit(w.t.Context(),
				Terms{Grace: time.Hour, Replaces: []string{id}})
			return err
		},
	}
	for forgery, fields := range forgeries {
		for how, recall := range recalls {
			s, w, id := sealedHold(t)
			w.set(id, fields...)
			if err := recall(w, id); err != nil && !strings.HasPrefix(forgery, "results of no") {
				t.Errorf("%s, recalled %s: %v", forgery, how, err)
			}
			w.del(id, "np", "r0", "r1")
			w.due(id)
			if got := wouldGet(t, s); got != "" {
				t.Errorf("%s was written before the recall %s: sent to %q", forgery, how, got)
			}
		}
	}
}

// A recall for some, of a message that was made to look recalled, leaves the others theirs.
func TestARecallForSomeOfWhatLooksRecalledLeavesTheOthersTheirs(t *testing.T) {
	s, w, id := sealedHold(t)
	w.set(id, "state", "recalled", "np", 0, "r0", `{"o":"recalled"}`, "r1", `{"o":"recalled"}`)
	h, err := s.Get(t.Context(), id)
	if err != nil || h.State != Held || h.Results[0].Outcome != Pending {
		t.Errorf("it looks recalled: %+v %v", h, err)
	}
	h, err = s.RecallOnly(t.Context(), id, []string{"b@x.test"}, alice)
	if err != nil || h.State != Held || h.Results[0].Outcome != TakenBack || h.Results[1].Outcome != Pending {
		t.Fatalf("%+v %v", h, err)
	}
	w.due(id)
	claims, err := s.Claim(t.Context(), 1)
	if err != nil || getters(t, s, claims...) != "c@x.test" {
		t.Fatalf("sent to %q: %v", getters(t, s, claims...), err)
	}
	sent := Settlement{Results: map[int]Result{1: {Outcome: Sent, Detail: "250 ok"}}}
	if err := s.Settle(t.Context(), claims[0], sent); err != nil {
		t.Errorf("its outcome can't be written: %v", err)
	}
}

// What the store says of a recipient counts as far as something proves it; nobody is told a text that somebody wrote
// into the store.
func TestResultsThatNothingProvesAreNotBelieved(t *testing.T) {
	for name, c := range map[string]struct {
		state, result string
		want          Result
	}{
		"failed":             {"held", `{"o":"failed","d":"550 see http://evil.test"}`, Result{Outcome: Pending}},
		"recalled":           {"held", `{"o":"recalled"}`, Result{Outcome: Pending}},
		"cut off":            {"held", `{"o":"unknown","c":true}`, Result{Outcome: Pending}},
		"a word":             {"held", `{"o":"call evil.test"}`, Result{Outcome: Pending}},
		"a pending text":     {"held", `{"o":"pending","d":"call evil.test"}`, Result{Outcome: Pending}},
		"sent with a text":   {"released", `{"o":"sent","d":"250 call evil.test"}`, Result{Outcome: Sent}},
		"asked with a text":  {"released", `{"o":"requested","d":"call evil.test"}`, Result{Outcome: Requested}},
		"retracted":          {"released", `{"o":"retracted","d":"gone"}`, Result{Outcome: Unknown, Detail: noAnswer}},
		"read":               {"released", `{"o":"already read"}`, Result{Outcome: Unknown, Detail: noAnswer}},
		"refused":            {"released", `{"o":"refused"}`, Result{Outcome: Unknown, Detail: noAnswer}},
		"failed at the end":  {"released", `{"o":"failed"}`, Result{Outcome: Unknown, Detail: noAnswer}},
		"recalled and sent":  {"released", `{"o":"recalled"}`, Result{Outcome: Unknown, Detail: noAnswer}},
		"a proof of nothing": {"held", `{"o":"failed","k":"` + KeyID(key(1)) + ` AAAA"}`, Result{Outcome: Pending}},
	} {
		s, w, id := sealedHold(t)
		w.set(id, "state", c.state, "r0", c.result)
		if h, err := s.Get(t.Context(), id); err != nil || h.Results[0] != c.want {
			t.Errorf("%s: %+v %v, want %+v", name, h, err, c.want)
		}
	}
}

// What a gateway writes of a recipient is believed, for that recipient of that hold.
func TestResultsOfAGatewayProveThemselves(t *testing.T) {
	s, w, id := sealedHold(t)
	w.due(id)
	claims, err := s.Claim(t.Context(), 1)
	if err != nil || len(claims) != 1 {
		t.Fatal(claims, err)
	}
	results := map[int]Result{0: {Outcome: Failed, Detail: "550 5.1.1 \xff <b@x.test> & no such user"},
		1: {Outcome: Sent, Detail: "250 ok"}}
	if err := s.Settle(t.Context(), claims[0], Settlement{Results: results}); err != nil {
		t.Fatal(err)
	}
	asked := []Request{{RequestID: "q1", Hold: id, Domain: "x.test", Recipients: []int{1}}}
	if _, err := s.RequestRecall(t.Context(), id, asked, time.Minute, alice); err != nil {
		t.Fatal(err)
	}
	get := func() [2]string {
		h, err := s.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return [2]string{string(h.Results[0].Outcome) + " " + h.Results[0].Detail,
			string(h.Results[1].Outcome) + " " + h.Results[1].Detail}
	}
	if got := get(); got != [2]string{"failed 550 5.1.1 \uFFFD <b@x.test> & no such user", "requested 250 ok"} {
		t.Errorf("after the release: %q", got)
	}
	if err := s.AddAnswers(t.Context(), id, "gateway of x.test", []Answer{{1, Retracted, "taken \xff out"}}); err != nil {
		t.Fatal(err)
	}
	if got := get()[1]; got != "retracted taken \uFFFD out" {
		t.Errorf("after the answer: %q", got)
	}
	w.set(id, "r0", s.nodes.Client.HGet(t.Context(), w.key(id), "r1").Val())
	if got := get()[0]; got != "unknown "+noAnswer {
		t.Errorf("another recipient's answer: %q", got)
	}
}

// A record that nothing proves may have been written for somebody else to read.
func TestWhatNothingProvesIsNotDecrypted(t *testing.T) {
	for name, spoil := range map[string]func(w intruder, id string){
		"no proof":       func(w intruder, id string) { w.strip(id) },
		"an unknown key": func(w intruder, id string) { w.replace(id, "p", "\n"+KeyID(key(1)), "\n00000000") },
		"another login":  func(w intruder, id string) { w.replace(id, "p", `"l":"alice"`, `"l":"mallory"`) },
	} {
		s, w, id := sealedHold(t)
		if h, err := s.Get(t.Context(), id); err != nil || h.Subject != "topsecret" {
			t.Fatalf("%+v %v", h, err)
		}
		spoil(w, id)
		h, err := s.Get(t.Context(), id)
		if err != nil || h.Proven() == nil || h.Subject != "" {
			t.Errorf("%s: %+v %v", name, h, err)
		}
	}
}

// A counter of pending recipients that somebody wrote must not have a message sent again and again.
func TestAWrongCounterKeepsNoOutcomeFromBeingWritten(t *testing.T) {
	for _, np := range []string{"7", "x", "-3"} {
		s, w, id := sealedHold(t)
		w.set(id, "np", np)
		w.due(id)
		claims, err := s.Claim(t.Context(), 1)
		if err != nil || len(claims) != 1 {
			t.Fatal(claims, err)
		}
		sent := Result{Outcome: Sent, Detail: "250 ok"}
		err = s.Settle(t.Context(), claims[0], Settlement{Results: map[int]Result{0: sent, 1: sent}})
		if h, wrong := s.Get(t.Context(), id); err != nil || wrong != nil || h.State != Released {
			t.Errorf("np %s: %v %v %v", np, h.State, err, wrong)
		}
	}
}
