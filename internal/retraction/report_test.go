package retraction

import (
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/sender"
)

// TestOnlyOurOwnPeopleAreToldOfALateOutcome recalls released mail of several senders. A user's filter has passed on
// that of the outsider, who asked us for nothing.
func TestOnlyOurOwnPeopleAreToldOfALateOutcome(t *testing.T) {
	store, post := site(t)
	x := New(store, post, nil, mark.New([]byte("secret")), &notes{}, Options{Within: time.Hour, Keep: time.Hour,
		People: sender.Site{Addresses: []string{"recall@branch.test"}}})
	senders := []struct {
		sender, login string
		told          bool
	}{
		{"alice@partner.test", "", false},
		{"anna@corp.test", "", true},
		{"anna@branch.test", "", true},
		{"bert@partner.test", "bert", true},
	}
	var ids []string
	for _, c := range senders {
		ids = append(ids, submitted(t, store, holdstore.Submission{Sender: holdstore.Path{Address: c.sender}, Login: c.login,
			Gateway: "gw.corp.test"}))
	}
	for _, id := range ids {
		asked := []holdstore.Request{{Hold: id, RequestID: id, Domain: "far.test", Recipients: []int{0}}}
		must(t, func() error {
			_, err := store.RequestRecall(t.Context(), id, asked, time.Hour, holdstore.Actor{})
			return err
		})
		must(t, func() error { return x.report(t.Context(), id, false) })
	}
	mails := strings.Join(waiting(t, store), "\n")
	for n, c := range senders {
		if told := strings.Contains(mails, "To: <"+c.sender+">") && strings.Contains(mails,
			"<recall."+ids[n]+"."); told != c.told {
			t.Errorf("%+v: told %v\n%s", c, told, mails)
		}
	}
}
