package inbound

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/policy"
	"github.com/recall-milter/recall-milter/test/outlook"
	"github.com/recall-milter/recall-milter/test/server"
)

// cameIn is a message that came in: its subject, its recipients, and how many seconds after the recall was written it
// was sent.
type cameIn struct {
	subject, to string
	after       int
}

// What a recall means is found from exact to loose, as in mail that leaves, and is never a message that was sent after
// it.
func TestARecallThatComesInMeansTheMessageThatFitsBest(t *testing.T) {
	t.Parallel()
	key, verifier, store, redis := surroundings(t)
	everybody, _ := policy.ParsePatterns([]string{"*"})
	g := New(Options{AuthservID: "gw.corp.test", Prefixes: []string{"Recall:"}, Verifier: verifier,
		Rules: policy.InboundRules{{Name: "default",
			Partners: everybody, Require: []string{"aligned"}, MaxAge: 7 * day, Rate: 1000, Per: time.Hour, OnFail: "reject"}}},
		store, nil, quiet{})
	both := bert + " carla@corp.test"
	for name, c := range map[string]struct {
		names string
		came  []cameIn
		want  int // which is meant; -1: none
	}{
		"another subject with a colon": {"Sales: plan", []cameIn{{"Legal: plan", bert, -9}}, -1},
		"the very subject":             {"Sales: plan", []cameIn{{"Sales: plan", bert, -9}, {"Legal: plan", bert, -8}}, 0},
		"short words":                  {"HR: plan", []cameIn{{"IT: plan", bert, -9}}, -1},
		"before a reply":               {"plan", []cameIn{{"plan", bert, -9}, {"RE: plan", bert, -8}}, 0},
		"a reply":                      {"plan", []cameIn{{"Antwort: plan", bert, -9}}, 0},
		"begins as a recall does":      {"Recall: kettles", []cameIn{{"Recall: kettles", bert, -9}}, 0},
		"no subject":                   {"", []cameIn{{"", bert, -9}, {"plan", bert, -8}}, 0},
		"equal recipients before more": {"plan", []cameIn{{"plan", bert, -9}, {"plan", both, -8}}, 0},
		"of equal ones the newest":     {"plan", []cameIn{{"plan", bert, -9}, {"plan", bert, -8}}, 1},
		"a correction that overtakes":  {"plan", []cameIn{{"plan", bert, -9}, {"plan", bert, 5}}, 0},
		"only a later one":             {"plan", []cameIn{{"plan", bert, 5}}, -1},
	} {
		r := outlook.Recall{From: anna, To: bert, Subject: c.names, Prefix: "Recall:"}
		for form, mail := range map[string]string{"outlook": r.FormA(), "exchange": r.FormB(), "cloud": r.FormC()} {
			redis.Do("FLUSHALL")
			written := time.Now().Add(-time.Minute).Truncate(time.Second)
			mail = strings.Replace(mail, "Tue, 24 Nov 2026 09:01:00 +0000\r\nMessage-ID",
				written.Format(time.RFC1123Z)+"\r\nMessage-ID", 1)
			mail = strings.Replace(mail, "Thu, 26 Nov 2026 09:00:00 +0000", time.Now().Add(2*day).Format(time.RFC1123Z), 1)
			var known []holdstore.Remembered
			for n, m := range c.came {
				sent := written.Add(time.Duration(m.after) * time.Second)
				known = append(known, holdstore.Remembered{MessageID: fmt.Sprintf("<%d@partner.test>", n), From: anna,
					Recipients: strings.Fields(m.to),
					Subjects:   policy.ReadSubject(m.subject).Forms(), Sent: sent, At: sent.Add(time.Second)})
			}
			server.Eventually(t, "they are remembered",
				func() bool { return store.Remember(t.Context(), known, time.Hour) == nil })
			mail = sign(t, mail, "partner.test", key, "From", "Subject", "Date", "Content-Type")
			var o Assessment
			server.Eventually(t, "the store answers", func() bool {
				o = g.Assess(t.Context(), mailFrom(mail, anna, bert, "192.0.2.1"))
				return o.Verdict.Result != policy.InboundTemp
			})
			oneAnswer(t, name+", "+form, o.Disposition)
			want := ""
			if c.want >= 0 {
				want = known[c.want].MessageID
			}
			if o.Recall.Form != form || o.Verdict.Target != want || (o.Verdict.Result == policy.InboundPass) != (want != "") {
				t.Errorf("%s, %s: it means %q, want %q: %+v", name, form, o.Verdict.Target, want, o.Verdict)
			}
		}
	}
}
