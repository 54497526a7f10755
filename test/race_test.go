package test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/server"
)

// Postfix only starts it: the messages are put straight into the store. A recall and a release meet at the due moment,
// thousands of times. One wins, and whoever recalled is told which: what recall answers is what the recipient got.
func TestRecallAndReleaseNeverBothWin(t *testing.T) {
	t.Parallel()
	g, port := startGatewayTo(t, "1h")
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{g.redis.Addr}, Durability: "strict"})
	g.must(err)
	defer store.Close()
	const messages, hands = 3000, 8
	var mu sync.Mutex
	recalled := map[string]bool{}
	both := func() bool { // have won: on a machine under load one of them may be the faster for long
		mu.Lock()
		defer mu.Unlock()
		won := slices.Collect(maps.Values(recalled))
		return slices.Contains(won, true) && slices.Contains(won, false)
	}
	var wg sync.WaitGroup
	for hand := range hands {
		wg.Go(func() {
			for n := hand; n < messages || n < 10*messages && !both(); n += hands {
				id := fmt.Sprintf("race%d@corp.test", n)
				won, err := raced(t.Context(), store, id, time.Duration(n%20)*time.Millisecond)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				recalled[id] = won
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	lost := 0
	for _, won := range recalled {
		if !won {
			lost++
		}
	}
	server.Eventually(t, "the messages that were not recalled arrive", func() bool { return len(port.Got()) >= lost })
	server.Eventually(t, "nothing is held any more", g.holdsNothing)
	arrived := arrivals(port)
	for id, won := range recalled {
		if n := arrived[id]; won && n > 0 || !won && n != 1 {
			t.Errorf("%s: recalled is %v, and it arrived %d times", id, won, n)
		}
	}
	t.Logf("recall won %d times, release %d times", len(recalled)-lost, lost)
	if lost == 0 || lost == len(recalled) {
		t.Error("there was no race")
	}
}

// raced holds a message for so long, recalls it when it is due, and says whether that came in time.
func raced(ctx context.Context, store *holdstore.Store, id string, grace time.Duration) (won bool, err error) {
	put := store.Put(holdstore.Submission{MessageID: "<" + id + ">", Sender: holdstore.Path{Address: "a@corp.test"},
		Recipients: []holdstore.Path{{Address: "b@x.test"}}}, []byte("Message-ID: <"+id+">\r\n"))
	if err := put.Write(ctx, []byte("body of "+id+"\r\n")); err != nil {
		return false, err
	}
	receipt, err := put.Commit(ctx, holdstore.Terms{Rule: "default", Grace: grace})
	if err != nil {
		return false, err
	}
	select {
	case <-ctx.Done():
	case <-time.After(time.Until(receipt.Due)):
	}
	_, err = store.Recall(ctx, receipt.ID, holdstore.Actor{By: "test"})
	if errors.Is(err, holdstore.ErrTooLate) || errors.Is(err, holdstore.ErrNotNow) {
		return false, nil
	}
	return err == nil, err
}

// arrivals counts the messages of a sink by Message-ID.
func arrivals(sink *server.Sink) map[string]int {
	count := map[string]int{}
	for _, d := range sink.Got() {
		for _, m := range messageID.FindAllSubmatch(d.Data, 1) {
			count[string(m[1])]++
		}
	}
	return count
}

var messageID = regexp.MustCompile(`(?m)^Message-ID: <(.*)>\r$`)
