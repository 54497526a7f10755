package recall

import (
	"fmt"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/post"
)

// A recall with as many recipients as an envelope has costs as much as they are, not as their square.
func TestARecallOfFiftyThousandRecipientsIsCheap(t *testing.T) {
	const few, many = 2000, 50_000
	best := map[int]time.Duration{few: time.Hour, many: time.Hour}
	for range 5 {
		for recipients := range best {
			best[recipients] = min(best[recipients], answering(t, recipients))
		}
	}
	if best[many] > best[few]*(many/few)*8 { // the square would be 25 times as much
		t.Errorf("%d recipients took %v, and %d took %v", few, best[few], many, best[many])
	}
}

// answering says how long the answer to a recall of so many recipients takes.
func answering(t *testing.T, recipients int) time.Duration {
	t.Helper()
	h := &holdstore.Hold{State: holdstore.Held}
	var only []string
	for n := range recipients {
		address := fmt.Sprintf("Recipient-%d@far.test", n)
		h.Recipients, only = append(h.Recipients, holdstore.Path{Address: address}), append(only, address)
	}
	h.Results = make([]holdstore.Result, recipients)
	a := &answer{Answer: post.Answer{Done: []*holdstore.Hold{h}, Only: only}}
	began := time.Now()
	if n := len(a.Outcomes()); n != recipients {
		t.Errorf("%d outcomes", n)
	}
	if missing := a.Missing(); len(missing) > 0 {
		t.Errorf("%d are missing", len(missing))
	}
	if left := a.left(h.Recipients); len(left) != recipients {
		t.Errorf("%d are left", len(left))
	}
	return time.Since(began)
}
