package inbound

import (
	"cmp"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/policy"
	"github.com/recall-milter/recall-milter/test/server"
)

// TestLists knows mail that a list has passed on, and the address of a list in From.
func TestLists(t *testing.T) {
	const list = "staff@lists.test"
	g := &Gate{}
	g.SetOptions(Options{})
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
		m := mailFrom("From: "+list+"\r\n"+fields+"\r\n\r\nbody\r\n", "staff-bounces@lists.test", bert, "192.0.2.1")
		if got := g.throughList(m); got != want.through || g.shared(m, list) != want.shared {
			t.Errorf("%q: through a list %v, shared %v", fields, got, g.shared(m, list))
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
			if o.Verdict.Result != policy.InboundFail || o.Disposition.Reply != "" || len(o.Disposition.Add) == 0 ||
				!strings.HasPrefix(o.Disposition.Add[0].Value, "fail") {
				t.Errorf("%s, %s: %+v %+v", name, form, o.Verdict, o.Disposition)
			}
		}
	}
}

// TestListsThatOnlyTheConfigKnows takes the forms of list programs that the config ships, and lists that an
// administrator adds.
func TestListsThatOnlyTheConfigKnows(t *testing.T) {
	t.Parallel()
	key, verifier, store, _ := surroundings(t)
	lists, err := policy.ParsePatterns(append(config.Default().Inbound.Lists, "staff@corp.test"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from, to, header       string // the envelope, and From where it is another
		through, toList, share bool
	}{
		{anna, bert, "", false, false, false},
		{anna, "staff@corp.test", "", false, true, false},
		{anna, bert + " Staff@corp.test", "", false, true, false},
		{anna, "all@lists.corp.test", "", false, true, false},
		{anna, "staff-owner@corp.test", "", false, true, false},
		{anna, "owner-staff@corp.test", "", false, true, false},
		{anna, "staff-request@corp.test", "", false, true, false},
		{"staff-bounces@partner.test", bert, "", true, false, false},
		{"staff-bounces+bert=corp.test@partner.test", bert, "", true, false, false},    // Mailman
		{"staff+bounces-12-bert=corp.test@partner.test", bert, "", true, false, false}, // mlmmj
		{"staff-return-12-bert=corp.test@partner.test", bert, "", true, false, false},  // ezmlm
		{"owner-staff*bert**corp*-test@partner.test", bert, "", true, false, false},    // LISTSERV
		{"staff+bncBAABBA5XUSGAMGQE@partner.test", bert, "", true, false, false},       // Google Groups
		{"all-bounces@lists.partner.test", bert, "all@lists.partner.test", true, false, true},
		{"holiday-request@partner.test", bert, "holiday-request@partner.test", false, false, false}, // their own mail
		{"list-of-people@partner.test", "playlists@corp.test", "", false, false, false},
	} {
		o := try(t, row{edit: func(x *trial) {
			x.from, x.to, x.domain, x.lists = c.from, c.to, "", lists
			if c.header != "" {
				x.replace(anna, c.header)
			}
		}}, "exchange", key, verifier, store)
		if tagged := o.Disposition.Reply == "" && len(o.Disposition.Add) > 0; tagged != (c.through || c.toList) ||
			o.Verdict.Result != policy.InboundFail {
			t.Errorf("%+v: %+v %+v", c, o.Verdict, o.Disposition)
		}
		g := &Gate{}
		g.SetOptions(Options{Lists: lists})
		m := mailFrom("From: "+cmp.Or(c.header, anna)+"\r\n\r\n", c.from, c.to, "192.0.2.1")
		if g.throughList(m) != c.through || g.toList(m) != c.toList || g.shared(m, cmp.Or(c.header, anna)) != c.share {
			t.Errorf("%+v: through %v, to %v, shared %v", c, g.throughList(m), g.toList(m), g.shared(m, cmp.Or(c.header, anna)))
		}
	}
	for _, form := range forms { // an aligned recall that only the list's envelope gives away
		edit := func(x *trial) { x.from, x.lists = "staff-bounces@partner.test", lists }
		o := try(t, row{edit: edit}, form, key, verifier, store)
		if o.Verdict.Result != policy.InboundFail || !strings.Contains(o.Verdict.Reason, "through a mailing list") {
			t.Errorf("%s through a list without fields: %+v", form, o.Verdict)
		}
	}
}

// TestACommandForAListIsDeliveredToIt has a genuine recall for people, for a list, and for both carried out for the
// people.
func TestACommandForAListIsDeliveredToIt(t *testing.T) {
	t.Parallel()
	key, verifier, store, redis := surroundings(t)
	everybody, _ := policy.ParsePatterns([]string{"*"})
	const staff = "staff@corp.test"
	lists, _ := policy.ParsePatterns([]string{staff})
	for to, want := range map[string]struct {
		whom string
		done bool
	}{bert: {bert, true}, staff: {"", false}, bert + " " + staff: {bert, false}} {
		for form, mail := range mails() {
			redis.Do("FLUSHALL")
			d := &desk{}
			g := New(Options{AuthservID: "gw.corp.test", Prefixes: []string{"Recall:"}, Verifier: verifier, Lists: lists,
				Rules: policy.InboundRules{{Name: "default", Partners: everybody, Require: []string{"aligned"}, MaxAge: 7 * day,
					Rate: 1000, Per: time.Hour, Execute: true, OnFail: "reject"}}}, store, d, quiet{})
			known := holdstore.Remembered{MessageID: "<o@partner.test>", From: anna, Recipients: strings.Fields(to),
				Subjects: []string{priceList}, At: time.Now()}
			server.Eventually(t, "it is remembered", func() bool {
				return store.Remember(t.Context(), []holdstore.Remembered{known}, time.Hour) == nil
			})
			mail = sign(t, mail, "partner.test", key, "From", "Subject", "Date", "Content-Type")
			var r Disposition
			server.Eventually(t, "the store answers", func() bool {
				r = g.Judge(t.Context(), mailFrom(mail, anna, to, "192.0.2.1"))
				return !strings.HasPrefix(r.Reply, "4")
			})
			oneAnswer(t, form+" to "+to, r)
			if got := strings.Join(d.whom, " "); got != want.whom || r.Done != want.done || r.Reply != "" {
				t.Errorf("%s to %s: carried out for %q, %+v", form, to, got, r)
			}
		}
	}
}
