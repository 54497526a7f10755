package retraction

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/protocol"
	"github.com/recall-milter/recall-milter/policy"
	"github.com/recall-milter/recall-milter/test/server"
)

// A message to five hundred recipients in a hundred domains: each domain is asked once, whoever answers last brings the
// one report, and who answers again brings none.
func TestARecallFromAHundredDomainsMakesOneReport(t *testing.T) {
	const domains, each = 100, 5
	store, post := site(t)
	all, err := policy.ParsePatterns([]string{"*"})
	if err != nil {
		t.Fatal(err)
	}
	x := New(store, post, nil, mark.New([]byte("secret")), &notes{},
		Options{Ask: true, Domains: all, Within: time.Hour, Keep: time.Hour})
	var to []string
	for n := range domains * each {
		to = append(to, fmt.Sprintf("r%d@d%d.test", n, n%domains))
	}
	id := released(t, store, "anna", to...)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { x.Run(ctx) })
	must(t, func() error {
		_, _, err := x.RequestRetraction(t.Context(), id, nil, holdstore.Actor{By: "test"})
		return err
	})
	mails := func() (n int) {
		ids, err := store.WaitingIDs(t.Context())
		if err != nil {
			return -1
		}
		return len(ids)
	}
	server.Eventually(t, "all are asked", func() bool { return mails() == domains })
	for _, asked := range x.planned(t, id) {
		s := protocol.Status{RequestID: asked.RequestID}
		for _, n := range asked.Recipients {
			s.Recipients = append(s.Recipients, protocol.StatusOf{Address: to[n], Outcome: protocol.StatusRetracted})
		}
		for range 2 {
			must(t, func() error { return x.AcceptStatus(t.Context(), s, asked.Domain) })
		}
	}
	server.Eventually(t, "it is reported", func() bool { return mails() == domains+1 })
	requests, reports := 0, 0
	for _, mail := range waiting(t, store) {
		switch {
		case strings.Contains(mail, "report-type=recall-request") && strings.Count(mail, "Original-Recipient: ") == each:
			requests++
		case strings.Count(mail, "Outcome: retracted") == domains*each && strings.Contains(mail, "and 300 more"):
			reports++
		}
	}
	if requests != domains || reports != 1 {
		t.Errorf("%d requests and %d reports", requests, reports)
	}
}

// planned is what was asked.
func (x *Retractor) planned(t *testing.T, id string) []holdstore.Request {
	t.Helper()
	h := *get(t, x.store.(*holdstore.Store), id)
	h.Results = make([]holdstore.Result, len(h.Recipients))
	for n := range h.Results {
		h.Results[n].Outcome = holdstore.Sent
	}
	return x.requests(&h, nil, "")
}
