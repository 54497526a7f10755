package recall

import (
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/outlook"
)

// TestOutsidersGetNoReports passes on what a user's filter has redirected: the envelope sender stays the outsider.
func TestOutsidersGetNoReports(t *testing.T) {
	r := outlook.Recall{From: "alice@partner.test", To: "bob@corp.test", Subject: "their offer", Prefix: "Recall:"}
	for form, mail := range forms(r) {
		for name, from := range map[string]string{"an outsider": "alice@partner.test", "one of ours": "alice@corp.test", "of a branch": "alice@sub.corp.test"} {
			o := newOffice(t)
			mail := strings.ReplaceAll(mail, "alice@partner.test", from)
			l := letterOf{from: from, client: "192.0.2.1", to: []string{"bob@ext.test"}, text: mail, grace: time.Hour, rule: "default"}
			if o.mustSubmit(l) == "" {
				t.Errorf("%s, form %s: it does not go on", name, form)
			}
			o.post()
			if got := o.reports[from] != ""; got != (name != "an outsider") {
				t.Errorf("%s, form %s: told %v: %s", name, form, got, o.reports[from])
			}
		}
	}
}
