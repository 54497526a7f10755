package holdstore

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// A line in a log names the message that was changed, however long its record is and whatever bytes it has.
func TestWhatBulkChangesIsNamed(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	hold := func(queueID string, sender Path, recipients int) string {
		sub := submission(queueID)
		sub.Subject = `how to cut: ,"r":[{"a":"b@x.test"}]`
		sub.QueueID, sub.Sender, sub.Recipients = queueID, sender, nil
		for n := range recipients {
			sub.Recipients = append(sub.Recipients, Path{Address: fmt.Sprintf("r%d@x.test", n)})
		}
		receipt, err := s.Put(sub, []byte(header(queueID))).Commit(t.Context(), Terms{Grace: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		return receipt.ID
	}
	ids := []string{hold("4Q1", Path{Address: "a@corp.test", Args: []string{"SIZE=1"}}, 1), hold("4Q2", Path{}, 1),
		hold("4Q3", Path{Address: "a@corp.test"}, 2000), hold("4Q4", Path{Address: "\xff@corp.test"}, 1)}
	was, err := s.GetSome(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recall(t.Context(), ids[0], alice); err != nil {
		t.Fatal(err)
	}
	for _, d := range []Action{s.Recalling(), s.Restoring(), s.Extending(time.Hour), s.Releasing(), s.Draining()} {
		changed := 0
		err := s.Bulk(t.Context(), d, ids, alice, func(acted []Acted) {
			for n, a := range acted {
				if !a.Changed() {
					if d.verb != "recall" || a.ID != ids[0] || !errors.Is(a.Err, ErrNotNow) {
						t.Errorf("%s of %s: %v", d.verb, a.ID, a.Err)
					}
					continue
				}
				changed++
				h, want := a.Named(), was[n]
				if h.ID != want.ID || h.QueueID != want.QueueID || h.MessageID != want.MessageID ||
					h.Sender.Address != want.Sender.Address || !strings.HasPrefix(h.QueueID, "4Q") {
					t.Errorf("%s of %s: named %s, %q, %s, %q", d.verb, want.QueueID, h.ID, h.QueueID, h.MessageID, h.Sender.Address)
				}
			}
		})
		if err != nil || changed < len(ids)-1 {
			t.Errorf("%s: %d were changed, %v", d.verb, changed, err)
		}
	}
}
