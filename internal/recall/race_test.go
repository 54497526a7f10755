package recall

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/server"
)

// TestTheReportAlwaysSaysWhatTheRecipientGot recalls messages around the moment at which they are due, while two
// posts send.
func TestTheReportAlwaysSaysWhatTheRecipientGot(t *testing.T) {
	o := newOffice(t)
	outcomes := map[string]int{}
	grace := 15 * time.Millisecond
	for first := 0; first < 2000 || outcomes["recalled"] == 0 || outcomes["too late"] == 0; first += 2000 {
		if first > 0 {
			grace *= 2 // a machine on which a command took longer than the whole grace
		}
		if first > 16000 {
			t.Fatalf("the race has only one winner: %v", outcomes)
		}
		o.races(first, 2000, grace)
		for n := range 2000 {
			outcomes[o.compare(first+n)]++
		}
	}
	t.Logf("%v", outcomes)
}

// races lets messages race, from the first number on, until all have left.
func (o *office) races(first, messages int, grace time.Duration) {
	const writers = 6
	t := o.t
	ctx, cancel := context.WithCancel(t.Context())
	var posts, senders sync.WaitGroup
	for range 2 {
		posts.Go(func() {
			pace := time.NewTicker(time.Millisecond) // a post that asks for work all the time would starve the others
			defer pace.Stop()
			for ctx.Err() == nil {
				o.post()
				<-pace.C
			}
		})
	}
	for w := range writers {
		senders.Go(func() {
			for n := first + w; n < first+messages; n += writers {
				o.race(n, grace)
			}
		})
	}
	senders.Wait()
	cancel()
	posts.Wait()
	server.Eventually(t, "the last ones have left", func() bool {
		o.post()
		stats, err := o.store.Stats(t.Context())
		return err == nil && stats.Count[holdstore.Held] == 0
	})
}

// race sends a message to two recipients that is due in a moment, and recalls it for both or one at about that moment.
func (o *office) race(n int, grace time.Duration) {
	l := mailBy("anna", fmt.Sprintf("Subject: %d\r\nMessage-ID: <race%d@corp.test>\r\n\r\n", n, n), "b@x.test", "c@x.test")
	l.grace = grace
	if _, _, err := o.submit(l); err != nil {
		o.t.Error(err)
	}
	time.Sleep(rand.N(grace))
	only := ""
	if n%3 == 0 {
		only = " ONLY b@x.test"
	}
	command := fmt.Sprintf("Subject: RECALL <race%d@corp.test>%s\r\nMessage-ID: <answer%d@corp.test>\r\n\r\n", n, only, n)
	if _, refusal, err := o.submit(mailBy("anna", command, desk)); err != nil || refusal != "" {
		o.t.Errorf("command %d: %v %s", n, err, refusal)
	}
}

// compare checks the answer to one command against what was sent.
func (o *office) compare(n int) string {
	o.t.Helper()
	answer := o.reports[fmt.Sprintf("<answer%d@corp.test>", n)]
	outcome := "recalled"
	for _, to := range []string{"b@x.test", "c@x.test"} {
		got := o.mail[fmt.Sprintf("<race%d@corp.test> %s", n, to)]
		_, status, asked := strings.Cut(answer, "Final-Recipient: rfc822; "+to+"\r\nOutcome: ")
		said := strings.HasPrefix(status, "recalled")
		switch {
		case !asked && (n%3 != 0 || to != "c@x.test"):
			o.t.Errorf("%d: no answer about %s:\n%s", n, to, answer)
		case asked && said == got:
			o.t.Errorf("%d: %s got it: %v, and the report says:\n%s", n, to, got, answer)
		case !asked && !got:
			o.t.Errorf("%d: %s did not get it, and nobody asked for that", n, to)
		}
		if asked && got {
			outcome = "too late"
		}
	}
	if h, err := o.store.Resolve(o.t.Context(), fmt.Sprintf("<race%d@corp.test>", n)); err != nil || len(h) != 1 ||
		h[0].State == holdstore.Held {
		o.t.Errorf("%d: %v %+v", n, err, h)
	}
	return outcome
}
