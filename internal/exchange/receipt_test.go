package exchange

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/recall"
	"github.com/recall-milter/recall-milter/test/server"
)

// asked puts a message into the store, releases it, and notes that the gateways of its two recipients are asked.
func asked(t *testing.T, s *holdstore.Store, one, other string, requests ...holdstore.Asked) string {
	t.Helper()
	var held holdstore.Receipt
	must(t, func() (err error) {
		put := s.Put(holdstore.Submission{MessageID: "<1@corp.test>", Sender: holdstore.Path{Address: "anna@corp.test"},
			Recipients: []holdstore.Path{{Address: one}, {Address: other}}}, []byte("Subject: x\r\n"))
		held, err = put.Commit(t.Context(), holdstore.Terms{Rule: "default"})
		return err
	})
	var claims []*holdstore.Claim
	server.Eventually(t, "it is claimed", func() bool { claims, _ = s.Claim(t.Context(), 1); return len(claims) == 1 })
	sent := holdstore.Result{Outcome: holdstore.Sent}
	must(t, func() error {
		return s.Settle(t.Context(), claims[0], holdstore.Settlement{Results: map[int]holdstore.Result{0: sent, 1: sent}})
	})
	for n := range requests {
		requests[n].Hold = held.ID
	}
	err := does(t, func() error { _, err := s.Ask(t.Context(), held.ID, requests, time.Hour, holdstore.Act{}); return err })
	if err != nil && !errors.Is(err, holdstore.ErrNotNow) { // asked, and its answer was lost
		t.Fatal(err)
	}
	return held.ID
}

func TestATimelineTakesFewReceipts(t *testing.T) {
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{server.StartRedis(t).Addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	id := asked(t, store, "bert@far.test", "carl@far.test", holdstore.Asked{RequestID: "X", Domain: "far.test", Recipients: []int{0, 1}})
	x := &Exchange{store: store}
	for n := range 10 {
		for _, to := range []string{"BERT@far.test", "mallory@far.test"} {
			if err := x.Receipts(t.Context(), []recall.Receipt{{MessageID: "<1@corp.test>", Recipient: to, Disposition: fmt.Sprint("displayed", n)}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	all := []recall.Receipt{{MessageID: "<1@corp.test>", Recipient: "bert@far.test", Disposition: "deleted"}, {MessageID: "<1@corp.test>", Recipient: "carl@far.test", Disposition: "deleted"}}
	for range 2 {
		if err := x.Receipts(t.Context(), all); err != nil {
			t.Fatal(err)
		}
	}
	h, err := store.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	noted := map[string]int{}
	for _, e := range h.Timeline {
		if e.Verb == "receipt" && strings.Contains(e.Detail, "says a receipt that nobody vouches for") {
			noted[e.By]++
		}
	}
	if len(noted) != 2 || noted["bert@far.test"] != maxNoted || noted["carl@far.test"] != 1 {
		t.Errorf("receipts in the timeline: %v", noted)
	}
}
