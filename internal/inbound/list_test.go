package inbound

import (
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/internal/recall"
	"github.com/recall-milter/recall-milter/policy"
)

// TestLists knows mail that a list has passed on, and the address of a list in From.
func TestLists(t *testing.T) {
	const list = "staff@lists.test"
	for fields, want := range map[string]struct{ through, shared bool }{
		"To: " + bert:                       {false, false},
		"To: " + list:                       {false, false},
		"List-Id: Staff <staff.lists.test>": {true, true},
		"LIST-ID : <other.lists.test>":      {true, false},
		"List-Post: <https://x.test>, <mailto:Staff@lists.test>":           {true, true},
		"List-Unsubscribe: <mailto:staff-leave@lists.test>\r\nTo: " + list: {true, true},
		"List-Help: x\r\nCc: =?koi8-r?B?6dfBzg==?= <STAFF@lists.test>":     {true, true},
		"Precedence: list\r\nTo: " + bert:                                  {true, false},
		"Precedence: Bulk ":                                                {true, false},
		"Precedence: first-class":                                          {false, false},
		"X-BeenThere: staff@lists.test":                                    {true, true},
		"X-Mailman-Version: 2.1":                                           {true, false},
		"Mailing-List: contact staff-help@lists.test; run by ezmlm":        {true, false},
		"X-Mailing-List: <staff@lists.test>":                               {true, false},
		"Listing: x":                                                       {false, false},
	} {
		m := arrival("From: "+list+"\r\n"+fields+"\r\n\r\nbody\r\n", "staff-bounces@lists.test", bert, "192.0.2.1")
		if got := recall.ThroughList(m); got != want.through || shared(m, list) != want.shared {
			t.Errorf("%q: through a list %v, shared %v", fields, got, shared(m, list))
		}
	}
}

// TestACommandThatAListPassedOnIsTagged holds for what is wrong in any way: a 550 would be a bounce of the subscriber.
func TestACommandThatAListPassedOnIsTagged(t *testing.T) {
	t.Parallel()
	key, verifier, store, _ := surroundings(t)
	for name, edit := range map[string]func(*trial){
		"its note breaks the signature": func(t *trial) {
			t.after = func(s string) string { return strings.Replace(s, "would like", "(by the list) would like", 1) }
		},
		"nobody has signed it":   func(t *trial) { t.domain = "" },
		"the list has signed it": func(*trial) {},
		"two Subjects":           func(t *trial) { t.lay("Subject: Recall: another") },
		"null sender":            func(t *trial) { t.from = "" },
	} {
		for _, form := range forms {
			o := try(t, row{edit: func(x *trial) { x.put("List-Id: <staff.lists.test>"); edit(x) }}, form, key, verifier, store)
			if o.Verdict.Result != policy.InboundFail || o.Ruling.Reply != "" || len(o.Ruling.Add) == 0 ||
				!strings.HasPrefix(o.Ruling.Add[0].Value, "fail") {
				t.Errorf("%s, %s: %+v %+v", name, form, o.Verdict, o.Ruling)
			}
		}
	}
}
