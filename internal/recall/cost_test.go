package recall

import (
	"fmt"
	"testing"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/test/server"
)

// A recall with as many recipients as an envelope has costs as much as they are, not as their square.
func TestARecallOfFiftyThousandRecipientsIsCheap(t *testing.T) {
	server.Linear(t, "many recipients", func(part int) func() { return answering(t, 50_000/part) })
}

// answering returns what makes the answer to a recall of so many recipients.
func answering(t *testing.T, recipients int) func() {
	t.Helper()
	h := &holdstore.Hold{State: holdstore.Held}
	var only []string
	for n := range recipients {
		address := fmt.Sprintf("Recipient-%d@far.test", n)
		h.Recipients, only = append(h.Recipients, holdstore.Path{Address: address}), append(only, address)
	}
	h.Results = make([]holdstore.Result, recipients)
	return func() {
		a := &answer{Answer: post.Answer{Done: []*holdstore.Hold{h}, Only: only}}
		if n := len(a.Outcomes()); n != recipients {
			t.Errorf("%d outcomes", n)
		}
		if missing := a.Missing(); len(missing) > 0 {
			t.Errorf("%d are missing", len(missing))
		}
		if left := a.left(h.Recipients); len(left) != recipients {
			t.Errorf("%d are left", len(left))
		}
	}
}
