package retraction

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/protocol"
	"github.com/recall-milter/recall-milter/test/server"
)

// released puts a message into the store and releases it to all its recipients.
func released(t *testing.T, s *holdstore.Store, login string, to ...string) string {
	t.Helper()
	sub := holdstore.Submission{MessageID: "<1@corp.test>", Sender: holdstore.Path{Address: "anna@corp.test"},
		Login:   login,
		Gateway: "gw.corp.test"}
	results := map[int]holdstore.Result{}
	for n, r := range to {
		sub.Recipients = append(sub.Recipients, holdstore.Path{Address: r})
		results[n] = holdstore.Result{Outcome: holdstore.Sent}
	}
	var held holdstore.Committed
	must(t, func() (err error) {
		held, err = s.Put(sub, []byte("Subject: x\r\n")).Commit(t.Context(), holdstore.Terms{Rule: "default"})
		return err
	})
	var claims []*holdstore.Claim
	server.Eventually(t, "it is claimed", func() bool { claims, _ = s.Claim(t.Context(), 1); return len(claims) == 1 })
	must(t, func() error { return s.Settle(t.Context(), claims[0], holdstore.Settlement{Results: results}) })
	return held.ID
}

// asked releases a message to two recipients, and notes that their gateways are asked.
func asked(t *testing.T, s *holdstore.Store, one, other string, requests ...holdstore.Request) string {
	t.Helper()
	id := released(t, s, "", one, other)
	for n := range requests {
		requests[n].Hold = id
	}
	err := does(t, func() error {
		_, err := s.RequestRecall(t.Context(), id, requests, time.Hour, holdstore.Actor{})
		return err
	})
	if err != nil && !errors.Is(err, holdstore.ErrNotNow) { // asked, and its answer was lost
		t.Fatal(err)
	}
	return id
}

func TestATimelineTakesFewReceipts(t *testing.T) {
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{server.StartRedis(t).Addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	id := asked(t, store, "bert@far.test", "carl@far.test",
		holdstore.Request{RequestID: "X", Domain: "far.test", Recipients: []int{0, 1}})
	x := &Retractor{store: store}
	for n := range 10 {
		for _, to := range []string{"BERT@far.test", "mallory@far.test"} {
			if err := x.Receipts(t.Context(), []protocol.Receipt{{MessageID: "<1@corp.test>", Recipient: to,
				Disposition: fmt.Sprint("displayed", n)}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	all := []protocol.Receipt{{MessageID: "<1@corp.test>", Recipient: "bert@far.test", Disposition: "deleted"},
		{MessageID: "<1@corp.test>", Recipient: "carl@far.test", Disposition: "deleted"}}
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

// Receipts about many recipients, also in one mail, leave room in the timeline for what happened.
func TestATimelineTakesFewReceiptsOfAllRecipients(t *testing.T) {
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{server.StartRedis(t).Addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var to []string
	var receipts []protocol.Receipt
	request := holdstore.Request{RequestID: "X", Domain: "far.test"}
	for n := range 2 * maxReceipts {
		to = append(to, fmt.Sprintf("r%d@far.test", n))
		request.Recipients = append(request.Recipients, n)
		receipts = append(receipts, protocol.Receipt{MessageID: "<1@corp.test>", Recipient: to[n], Disposition: "displayed"})
	}
	request.Hold = released(t, store, "", to...)
	must(t, func() error {
		_, err := store.RequestRecall(t.Context(), request.Hold, []holdstore.Request{request}, time.Hour, holdstore.Actor{})
		return err
	})
	x := &Retractor{store: store}
	for some := range slices.Chunk(receipts, maxReceipts/2+5) {
		if err := x.Receipts(t.Context(), some); err != nil {
			t.Fatal(err)
		}
	}
	h, err := store.Get(t.Context(), request.Hold)
	if err != nil {
		t.Fatal(err)
	}
	noted := 0
	for _, e := range h.Timeline {
		if e.Verb == "receipt" {
			noted++
		}
	}
	if noted != maxReceipts {
		t.Errorf("%d receipts in the timeline", noted)
	}
}
