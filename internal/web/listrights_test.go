package web_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

// press has a rule that names its senders by a pattern, so that its delegate's list looks through everybody's mail.
const press = withBoss + `
[[hold.rule]]
name = "press"
sender = ["*@press.test"]
delegates = ["helper"]
`

// Whatever a list is asked for, it has only what the caller may see. Anybody can type a queue ID or an address.
func TestNoFilterOfAListShowsAnothersMail(t *testing.T) {
	t.Parallel()
	h := open(t, press)
	put := h.store.Put(holdstore.Submission{Subject: "a secret", Login: "anna", QueueID: "4XyZ0000017z1B",
		MessageID: "<secret@corp.test>", Sender: holdstore.Path{Address: "anna@corp.test"},
		Recipients: []holdstore.Path{{Address: "x@far.test"}}, Client: holdstore.Client{Address: "192.0.2.1"}},
		[]byte("Subject: a secret\r\n"))
	r, err := put.Commit(t.Context(), holdstore.Terms{Rule: "default", Grace: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	h.ids["a secret"] = r.ID
	h.hold("of the press", "press", "desk@press.test", "press")
	filters := map[string]string{"": "", "queue_id": "4XyZ0000017z1B", "queue_id, its ID": r.ID,
		"queue_id, a Message-ID": "secret@corp.test", "login": "anna", "sender": "anna@corp.test",
		"recipient": "x@far.test", "client": "192.0.2.0/24", "message_id": "secret@corp.test", "subject": "secret",
		"state": "all", "since": "1h", "until": "2099-01-01T00:00:00Z", "limit": "500"}
	own := map[string][]string{"anna": {"a secret", "of anna"}, "bert": {"of bert"}, "helper": {"of the press"},
		"assistant": {"of the boss"}, "nobody": {}, "*": {}, "anna@corp.test": {}, "boss": slices.Collect(maps.Keys(h.ids))}
	for who, subjects := range own {
		g := h.guest("Remote-User", who)
		for what, value := range filters {
			name, _, _ := strings.Cut(what, ",")
			code, text, _ := g.ask("GET", "/api/v1/holds?"+strings.TrimPrefix(name+"="+value, "="), "")
			var got struct {
				Holds []struct{ ID, Subject string }
				Next  string
			}
			if err := json.Unmarshal([]byte(text), &got); code != 200 || err != nil || got.Next != "" {
				t.Errorf("%s asks for %s: %d %v %s", who, what, code, err, text)
			}
			found := 0
			for _, hold := range got.Holds {
				if !slices.Contains(subjects, hold.Subject) {
					t.Errorf("%s asks for %s, and is shown %q", who, what, hold.Subject)
				}
				if hold.ID == r.ID {
					found++
				}
			}
			its := slices.Contains(subjects, "a secret") && !strings.Contains(what, ",") // a queue ID is nothing else
			if its != (found == 1) {
				t.Errorf("%s asks for %s, and is shown the secret %d times", who, what, found)
			}
		}
	}
}
