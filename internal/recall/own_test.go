package recall

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/outlook"
)

// asked notes for which messages other gateways would be asked.
type asked struct{ ids []string }

func (a *asked) RequestRetraction(_ context.Context, id string, _ []string, _ holdstore.Actor) (*holdstore.Hold,
	time.Time, error) {
	a.ids = append(a.ids, id)
	return nil, time.Time{}, holdstore.ErrNotFound
}

// TestOutsidersGetNoReports passes on what a user's filter has redirected: the envelope sender stays the outsider. It
// holds whether their message still waits, has left, or is unknown, with a recall address or without one.
func TestOutsidersGetNoReports(t *testing.T) {
	r := outlook.Recall{From: "alice@partner.test", To: "bob@corp.test", Subject: "their offer", Prefix: "Recall:"}
	for name, from := range map[string]string{"an outsider": "alice@partner.test", "one of ours": "alice@corp.test",
		"of a branch": "alice@sub.corp.test"} {
		for _, original := range []string{"unknown", "waits", "has left"} {
			late := &asked{}
			address := func(o *Options) { o.Addresses = nil }
			if original == "unknown" {
				address = func(o *Options) {}
			}
			o := newOffice(t, address, func(o *Options) { o.Late = late })
			submit := func(text string) string {
				return o.mustSubmit(letterOf{from: from, client: "192.0.2.1", to: []string{"bob@ext.test"}, grace: time.Hour,
					rule: "default",
					text: strings.ReplaceAll(text, "alice@partner.test", from)})
			}
			for form, mail := range forms(r) {
				if original != "unknown" {
					id := submit("From: alice@partner.test\r\nSubject: their offer\r\nMessage-ID: <o" + form + "@partner.test>\r\n" +
						"Date: Tue, 24 Nov 2026 09:00:00 +0000\r\n\r\n")
					if original == "has left" {
						o.release(id)
					}
				}
				if passed := submit(mail); (passed == "") != (original == "waits") {
					t.Errorf("%s, form %s, %s: it goes on: %v", name, form, original, passed != "")
				}
			}
			o.post()
			if got := o.reports[from] != ""; got != (name != "an outsider") {
				t.Errorf("%s, %s: told %v: %s", name, original, got, o.reports[from])
			}
			if got := len(late.ids) > 0; got != (name != "an outsider" && original == "has left") {
				t.Errorf("%s, %s: gateways are asked: %v", name, original, got)
			}
		}
	}
}

// release lets a message leave.
func (o *office) release(id string) {
	o.t.Helper()
	if _, err := o.store.Release(o.t.Context(), id, holdstore.Actor{}); err != nil {
		o.t.Fatal(err)
	}
	o.post()
}
