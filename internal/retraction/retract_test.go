package retraction

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailbox"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/internal/protocol"
	"github.com/recall-milter/recall-milter/test/server"
)

func TestMain(m *testing.M) { os.Exit(server.WithoutLeaks(m)) }

// empty is a mailbox that has nothing.
type empty struct {
	Mailbox
}

func (empty) Reaches(string) bool { return true }

func (empty) Retract(context.Context, mailbox.Target, func(mailbox.Result) error) (mailbox.Result, error) {
	return mailbox.Result{Outcome: protocol.StatusNotFound}, nil
}

// notes is a log that remembers outcomes.
type notes struct {
	mu       sync.Mutex
	outcomes map[string]string // by recipient
}

func (n *notes) Asked(*holdstore.Hold, string, string)                     {}
func (n *notes) Reported(*holdstore.Hold)                                  {}
func (n *notes) Trouble(string, error)                                     {}
func (n *notes) Recovered(string, time.Duration)                           {}
func (n *notes) Panicked(string, any, []byte)                              {}
func (n *notes) Acted(*holdstore.Hold, string, holdstore.Actor, ...string) {}

func (n *notes) Retracted(_, recipient, _, outcome, _ string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.outcomes[recipient] = outcome
}

func (n *notes) of(recipient string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.outcomes[recipient]
}

func TestAMessageThatStillWaitsHereIsRecalledBeforeItsDelivery(t *testing.T) {
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{server.StartRedis(t).Addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	put := store.Put(holdstore.Submission{MessageID: "<1@corp.test>", Sender: holdstore.Path{Address: "anna@corp.test"},
		Recipients: []holdstore.Path{{Address: "bert@far.test"}, {Address: "carl@far.test"}}}, []byte("Subject: x\r\n"))
	held, err := put.Commit(t.Context(), holdstore.Terms{Rule: "default", Grace: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	texts, err := post.ReadTexts("")
	if err != nil {
		t.Fatal(err)
	}
	log := &notes{outcomes: map[string]string{}}
	x := New(store, post.New(store, texts, ""), empty{}, mark.New([]byte("secret")), log, Options{Keep: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { x.Run(ctx) })
	for id, from := range map[string]string{"A": "mallory@corp.test", "B": "anna@corp.test"} {
		if _, err := x.AcceptOrder(t.Context(), Order{RequestID: id, CommandID: "<" + id + ">", MessageID: "<1@corp.test>",
			From: from, Recipients: []string{"bert@far.test"}}, true); err != nil {
			t.Fatal(err)
		}
		server.Eventually(t, "the order of "+from+" is done", func() bool { return log.of("bert@far.test") != "" })
		want := map[string]string{"A": protocol.StatusNotFound, "B": protocol.StatusRecalled}[id]
		if got := log.of("bert@far.test"); got != want {
			t.Errorf("asked by %s: %s, want %s", from, got, want)
		}
		log.mu.Lock()
		delete(log.outcomes, "bert@far.test")
		log.mu.Unlock()
	}
	h, err := store.Get(t.Context(), held.ID)
	if err != nil || h.Results[0].Outcome != holdstore.TakenBack || h.Results[1].Outcome != holdstore.Pending {
		t.Errorf("%+v %v", h.Results, err)
	}
}
