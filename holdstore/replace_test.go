package holdstore

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// A corrected message takes back what it replaces wherever that is, and what was sent already stays sent.
func TestAHoldReplacesOthersInAnyShard(t *testing.T) {
	c := server.StartCluster(t, server.Never)
	s, err := Open(Options{Addresses: c.Addrs(), Durability: "strict"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	hold := func(mark string, grace time.Duration, replaces ...string) Committed {
		sub := submission(mark)
		sub.Recipients = []Path{{Address: mark + "@far.test"}}
		r, err := s.Put(sub, []byte(header(mark))).Commit(t.Context(),
			Terms{Rule: "default", Grace: grace, Replaces: replaces})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	hold("sent", 0)
	sent := claimOne(t, s)
	replaces := []string{sent.ID}
	shards := map[int]bool{}
	for n := range 20 {
		r := hold(fmt.Sprint("old", n), time.Hour)
		replaces = append(replaces, r.ID)
		shards[s.nodes.Number(r.ID)] = true
	}
	if len(shards) < 5 {
		t.Fatalf("twenty messages to different recipients are in %d shards only", len(shards))
	}
	fresh := hold("new", time.Hour, replaces...)
	for _, id := range replaces[1:] {
		h, err := s.Get(t.Context(), id)
		if err != nil || h.State != Recalled || h.Timeline[len(h.Timeline)-1].Detail != "replaced by "+fresh.ID {
			t.Errorf("%s: %v %+v", id, err, h)
		}
	}
	if err := s.Settle(t.Context(), sent, Settlement{Results: map[int]Result{0: {Outcome: Sent}}}); err != nil {
		t.Errorf("what was being sent: %v", err)
	}
	if _, err := s.Recall(t.Context(), sent.ID, alice); !errors.Is(err, ErrTooLate) {
		t.Errorf("what was sent: %v", err)
	}

	var damaged []string
	for n := range 20 {
		r := hold(fmt.Sprint("damaged", n), time.Hour)
		intruder{t, s}.set(r.ID, "state", "odd")
		damaged = append(damaged, r.ID)
	}
	last := hold("last", time.Hour, append(damaged, fresh.ID)...) // what is damaged costs nobody else anything
	if h, err := s.Get(t.Context(), fresh.ID); err != nil || h.State != Recalled {
		t.Errorf("what it replaces as well: %+v, %v", h, err)
	}
	if h, err := s.Get(t.Context(), last.ID); err != nil || h.State != Held {
		t.Errorf("the last one: %+v, %v", h, err)
	}
}

// A batch whose messages replace more holds than a script can name in one command is held, with all others in it.
func TestABatchReplacesVeryMany(t *testing.T) {
	t.Parallel()
	s := open(t, server.StartRedis(t, "--appendfsync", "no").Addr)
	const each, mails = 500, 9
	var ids []string
	var old []*commit
	for n := range each * mails {
		p, c := begun(t, s, fmt.Sprint("old", n))
		ids, old = append(ids, p.id), append(old, c)
	}
	for some := range slices.Chunk(old, batchMost) {
		sendNow(t, s, some...)
	}
	var batch []*commit
	for n := range mails {
		p := s.Put(submission("new"), []byte(header("new")))
		p.print = fmt.Sprint("print", n)
		terms := Terms{Rule: "default", Grace: time.Hour, Replaces: ids[n*each:][:each]}
		p.replaces = terms.Replaces
		batch = append(batch, p.commit(terms, true))
	}
	sendNow(t, s, batch...)
	for n, c := range batch {
		if c.row != int64(1) {
			t.Errorf("message %d: %v", n, c.row)
		}
	}
	st, err := s.Stats(t.Context())
	if err != nil || st.Count[Held] != mails || st.Count[Recalled] != each*mails {
		t.Errorf("%+v, %v", st.Count, err)
	}
	if all := faults(t, s, false); len(all) > 0 {
		t.Errorf("faults: %+v", all[:min(len(all), 3)])
	}
}
