package retraction

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
)

// A recall for mailboxes of which only some can be reached: those are looked into, and the command is delivered, since
// the others' owners have to see it.
func TestARecallIsDeliveredWhereAMailboxCantBeReached(t *testing.T) {
	for name, c := range map[string]struct {
		to      []string
		taken   bool
		ordered string // recipients of the job
	}{
		"all":  {[]string{"a@far.test", "b@far.test"}, true, "a@far.test b@far.test"},
		"some": {[]string{"a@closed.test", "b@far.test"}, false, "b@far.test"},
		"none": {[]string{"a@closed.test"}, false, ""},
	} {
		store, post := site(t)
		x := New(store, post, &boxesOf{}, mark.New([]byte("secret")), &notes{outcomes: map[string]string{}},
			Options{Keep: time.Hour})
		taken, err := x.AcceptOrder(t.Context(), Order{RequestID: "X", CommandID: "<x@corp.test>",
			MessageID: "<1@corp.test>", From: "anna@corp.test", Recipients: slices.Clone(c.to)}, true)
		if err != nil || taken != c.taken {
			t.Errorf("%s: taken %v, %v", name, taken, err)
		}
		var o Order
		if c.ordered == "" {
			if j, err := store.ClaimJob(t.Context(), holdstore.Lane{}); err != nil || j != nil {
				t.Errorf("%s: a job %v, %v", name, j, err)
			}
			continue
		}
		j := claimed(t, store)
		if err := j.Read(&o); err != nil || strings.Join(o.Recipients, " ") != c.ordered {
			t.Errorf("%s: ordered %q, %v", name, o.Recipients, err)
		}
	}
}
