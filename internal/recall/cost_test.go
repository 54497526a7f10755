package recall

import (
	"fmt"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

// A recall with as many recipients as an envelope has costs as much as they are, not as their square.
func TestARecallOfFiftyThousandRecipientsIsCheap(t *testing.T) {
	const recipients = 50_000
	h := &holdstore.Hold{State: holdstore.Held}
	var only []string
	for n := range recipients {
		address := fmt.Sprintf("Recipient-%d@far.test", n)
		h.Recipients, only = append(h.Recipients, holdstore.Path{Address: address}), append(only, address)
	}
	h.Results = make([]holdstore.Result, recipients)
	a := &answer{done: []*holdstore.Hold{h}, only: only}
	began := time.Now()
	if n := len(a.outcomes()); n != recipients {
		t.Errorf("%d outcomes", n)
	}
	if missing := a.missing(); len(missing) > 0 {
		t.Errorf("%d are missing", len(missing))
	}
	if left := a.left(h.Recipients); len(left) != recipients {
		t.Errorf("%d are left", len(left))
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
}
