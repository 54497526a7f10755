package holdstore

import (
	"fmt"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// Anybody can give many messages one name, each with as many recipients as there may be: what is read of them is
// bounded, and whoever asks by that name for another's hears of few.
func TestANameMeansOnlySoManyRecipientsAtATime(t *testing.T) {
	t.Parallel()
	s := open(t, server.StartRedis(t).Addr)
	sub := Submission{Login: "anna", Sender: Path{Address: "anna@corp.test"}, MessageID: "<same@corp.test>"}
	for n := range 4 {
		sub.Recipients = nil
		for r := range namedRecipients/2 - n {
			sub.Recipients = append(sub.Recipients, Path{Address: fmt.Sprintf("%d.%d@x.test", n, r)})
		}
		p := s.Put(sub, []byte("Subject: x\r\n"))
		if _, err := p.Commit(t.Context(), Terms{Rule: "default", Grace: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	for who, own := range map[string]bool{"anna": true, "bert": false} {
		found, err := s.ResolveOwn(t.Context(), "<same@corp.test>", func(*Hold) bool { return own })
		if err != nil || len(found) != 2 || found[0].HeldAt.After(found[1].HeldAt) {
			t.Errorf("%s finds %d messages: %v", who, len(found), err)
		}
	}
	one, err := s.RecordBytes(t.Context(), []string{"<same@corp.test>"}, Whose{}, 0)
	own, wrong := s.RecordBytes(t.Context(), nil, Whose{Login: "anna"}, 2)
	if err != nil || wrong != nil || one < 4*20*namedRecipients/2 || own > one*6/10 || own < one/3 {
		t.Errorf("they weigh %d bytes, the newest two %d: %v %v", one, own, err, wrong)
	}
	if none, err := s.RecordBytes(t.Context(), []string{"<other@corp.test>"}, Whose{Login: "bert"}, 5); err != nil ||
		none != 0 {
		t.Errorf("what is not there weighs %d: %v", none, err)
	}
	if gone, err := s.RecordBytes(t.Context(), []string{"2222222222222"}, Whose{}, 0); err != nil || gone != shelvedBytes {
		t.Errorf("what is on a shelf, or gone, weighs %d: %v", gone, err)
	}
}
