package retraction

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailbox"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/policy"
	"github.com/recall-milter/recall-milter/test/server"
)

// slowBoxes take a while for each mailbox, and forever for those of whom the flood asks until it is let go.
type slowBoxes struct {
	Mailbox
	flooded atomic.Int64
	served  sync.Map // From -> true
	hold    chan struct{}
}

func (*slowBoxes) Reaches(string) bool { return true }

func (b *slowBoxes) Retract(ctx context.Context, t mailbox.Target, _ func(mailbox.Result) error) (mailbox.Result,
	error) {
	if holdstore.DomainOf(t.From) == "flood.test" || holdstore.DomainOf(t.From) == "mx.flood.test" {
		b.flooded.Add(1)
		select {
		case <-b.hold:
		case <-ctx.Done():
		}
		return mailbox.Result{Outcome: mailbox.NotFound}, ctx.Err()
	}
	b.served.Store(t.From, true)
	return mailbox.Result{Outcome: mailbox.Retracted}, nil
}

// One site asks for thousands of mailboxes, each of which takes all the time there is: others' recalls are done
// meanwhile, and so is what our own users ask for.
func TestOneSitesRecallsKeepNobodyElsesWaiting(t *testing.T) {
	store, post := site(t)
	all, err := policy.ParsePatterns([]string{"*"})
	if err != nil {
		t.Fatal(err)
	}
	boxes := &slowBoxes{hold: make(chan struct{})}
	x := New(store, post, boxes, mark.New([]byte("secret")), &notes{outcomes: map[string]string{}},
		Options{Ask: true, Domains: all, Within: time.Hour, Keep: time.Hour})
	id := released(t, store, "anna", "bert@elsewhere.test")
	for n := range 12 {
		o := Order{RequestID: fmt.Sprint("F", n), CommandID: fmt.Sprintf("<f%d@flood.test>", n), MessageID: "<1@flood.test>",
			From: []string{"a@flood.test", "a@mx.flood.test"}[n%2], Gateway: "gw.far.test"}
		for r := range 1000 {
			o.Recipients = append(o.Recipients, fmt.Sprintf("r%d@far.test", r))
		}
		must(t, func() error { _, err := x.AcceptOrder(t.Context(), o, true); return err })
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	defer close(boxes.hold)
	wg.Go(func() { x.Run(ctx) })
	server.Eventually(t, "the flood has its hands", func() bool { return boxes.flooded.Load() == shared })
	for n := range 3 {
		o := Order{RequestID: fmt.Sprint("X", n), CommandID: "<x@partner.test>", MessageID: "<1@partner.test>",
			From: fmt.Sprintf("anna@partner%d.test", n), Recipients: []string{"bert@far.test"}}
		must(t, func() error { _, err := x.AcceptOrder(t.Context(), o, true); return err })
		server.Eventually(t, "another site's recall is done", func() bool { _, yes := boxes.served.Load(o.From); return yes })
	}
	must(t, func() error {
		_, _, err := x.RequestRetraction(t.Context(), id, nil, holdstore.Actor{By: "test"})
		return err
	})
	server.Eventually(t, "the request of our own user is written", func() bool {
		return slices.ContainsFunc(waiting(t, store),
			func(mail string) bool { return strings.Contains(mail, "report-type=recall-request") })
	})
	if n := boxes.flooded.Load(); n != shared {
		t.Errorf("the flood had %d mailboxes meanwhile", n)
	}
}
