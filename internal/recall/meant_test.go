package recall

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/recall/command"
	"github.com/recall-milter/recall-milter/policy"
	"github.com/recall-milter/recall-milter/test/outlook"
)

// waitingMail is a message of anna's that waits: its subject, its recipients, and how many seconds after nine it was
// sent.
type waitingMail struct {
	subject, to string
	at          int
	sent        bool // it has left
}

// TestOutlookMeansTheMessageThatFitsBest sends a recall at 09:01:00 for b@x.test; want is which message it takes back,
// -1 none.
func TestOutlookMeansTheMessageThatFitsBest(t *testing.T) {
	b, both := "b@x.test", "b@x.test c@x.test"
	for name, c := range map[string]struct {
		names string // what the recall says is the subject
		mails []waitingMail
		want  int
	}{
		"another subject with a colon": {"Sales: plan", []waitingMail{{"Legal: plan", b, 0, false}}, -1},
		"the very subject": {"Sales: plan", []waitingMail{{"Sales: plan", b, 0, false},
			{"Legal: plan", b, 0, false}}, 0},
		"short words that are none of a reply": {"HR: plan", []waitingMail{{"IT: plan", b, 0, false}}, -1},
		"the very subject before a reply": {"plan", []waitingMail{{"RE: plan", b, 0, false}, {"plan", b, 0, false}},
			1},
		"a reply, as Outlook names it": {"plan", []waitingMail{{"Antwort: plan", b, 0, false}}, 0},
		"a reply that waits before what has left": {"plan", []waitingMail{{"plan", b, 0, true}, {"RE: plan", b, 0, false}},
			1},
		"the reply has left, another subject waits": {"RE: plan", []waitingMail{{"RE: plan", b, 0, true},
			{"plan", b, 0, false}}, -1},
		"a subject that begins as a recall does": {"Recall: kettles", []waitingMail{{"Recall: kettles", b, 0, false},
			{"kettles", b, 0, false}}, 0},
		"no subject": {"", []waitingMail{{"", b, 0, false}, {"plan", b, 0, false}}, 0},
		"equal recipients before more": {"plan", []waitingMail{{"plan", both, 0, false}, {"plan", b, 0, false}},
			1},
		"more recipients": {"plan", []waitingMail{{"plan", both, 0, false}}, 0},
		"several that fit": {"plan", []waitingMail{{"plan", b, 0, false}, {"plan", b, 1, false}},
			-1},
		"a correction that overtakes": {"plan", []waitingMail{{"plan", b, 0, false}, {"plan", b, 62, false}},
			0},
		"only a later one":       {"plan", []waitingMail{{"plan", b, 62, false}}, -1},
		"one of the same second": {"plan", []waitingMail{{"plan", b, 60, false}}, 0},
		"252 characters of Japanese": {strings.Repeat("価格表", 84),
			[]waitingMail{{strings.Repeat("価格表", 84), b, 0, false}, {strings.Repeat("価格表", 83), b, 0, false}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			var ids []string
			for n, m := range c.mails {
				ids = append(ids, o.mustSubmit(mailBy("anna",
					fmt.Sprintf("Subject: %s\r\nDate: %s\r\nMessage-ID: <%d@corp.test>\r\n\r\n",
						outlook.Recall{Subject: m.subject}.SubjectField(),
						time.Date(2026, 11, 24, 9, 0, m.at, 0, time.UTC).Format(time.RFC1123Z), n), strings.Fields(m.to)...)))
				if m.sent {
					if _, err := o.store.Release(t.Context(), ids[n], holdstore.Actor{}); err != nil {
						t.Fatal(err)
					}
					o.post()
				}
			}
			r := outlook.Recall{From: "anna@corp.test", To: "b@x.test", Subject: c.names, Prefix: "Recall:"}
			o.mustSubmit(mailBy("anna", r.FormB(), "b@x.test"))
			for n, id := range ids {
				h, err := o.store.Get(t.Context(), id)
				if back := err == nil && h.Results[0].Outcome == holdstore.TakenBack; back != (n == c.want) {
					t.Errorf("%d, %q, taken back: %v (%v)", n, c.mails[n].subject, back, err)
				}
			}
			if o.post(); o.reports["anna@corp.test"] == "" {
				t.Error("the recall has no answer")
			}
		})
	}
}

// Programs wrap winmail.dat in many ways, and give the mail an ordinary Message-ID and any prefix.
func TestAWinmailInAnyWrappingIsARecall(t *testing.T) {
	r := outlook.Recall{From: "anna@corp.test", To: "b@x.test", Subject: "prices", Prefix: "Terugroepen:"}
	for name, mail := range r.Wrapped() {
		o := newOffice(t)
		id := o.writes("anna", outlook.Recall{Subject: "prices"}, "b@x.test")
		if passed := o.mustSubmit(mailBy("anna", mail, "b@x.test")); passed != "" || o.state(id) != holdstore.Recalled {
			t.Errorf("%s: it is %s, the recall became %q\n%s", name, o.state(id), passed, mail)
		}
	}
}

// A winmail.dat that can't be read says nothing.
func TestADamagedWinmailIsOrdinaryMail(t *testing.T) {
	r := outlook.Recall{From: "anna@corp.test", To: "b@x.test", Subject: "prices", Prefix: "Terugroepen:"}
	winmail := outlook.Winmail([]byte("prices"), 1252)
	for name, file := range map[string][]byte{"cut": winmail[:len(winmail)/4], "empty": nil, "a zip": []byte("PK\x03\x04"),
		"behind a zero": append([]byte{0}, winmail...)} {
		o := newOffice(t)
		id := o.writes("anna", outlook.Recall{Subject: "prices"}, "b@x.test")
		passed := o.mustSubmit(mailBy("anna", r.FormAWith(file), "b@x.test"))
		if passed == "" || o.state(id) != holdstore.Held {
			t.Errorf("%s: it is %s, the mail became %q", name, o.state(id), passed)
		}
	}
}

// A groupware server relays for all its users with one login. Only the config says that a login is one person's.
func TestASharedLoginIsASenderForEachAddress(t *testing.T) {
	for name, c := range map[string]struct {
		login, by string // who asks for the message of carl@corp.test
		personal  []string
		own       bool
	}{
		"a shared login":                   {"smarthost", "alice@corp.test", nil, false},
		"the sender":                       {"smarthost", "Carl@corp.test", nil, true},
		"a login that the config declares": {"u1", "alice@corp.test", []string{"u*"}, true},
		// Behind a shared login everybody may type a sender that looks like it.
		"a sender like the login":         {"smarthost", "smarthost@evil.test", nil, false},
		"a sender that is the login":      {"relay@corp.test", "relay@corp.test", nil, false},
		"a message by one like the login": {"carl", "info@corp.test", nil, false},
	} {
		o := newOffice(t, func(o *Options) { o.PersonalLogins, _ = policy.ParsePatterns(c.personal) })
		by := func(from, text string, to string) letterOf {
			return letterOf{login: c.login, from: from, client: "192.0.2.1", to: []string{to}, text: text, grace: time.Hour,
				rule: "default"}
		}
		alices := o.mustSubmit(by(c.by, "Subject: of alice\r\nMessage-ID: <a@corp.test>\r\n\r\n", "b@x.test"))
		o.tick()
		carls := o.mustSubmit(by("carl@corp.test", "Subject: secret of carl\r\nMessage-ID: <c@corp.test>\r\n\r\n",
			"b@x.test"))
		o.mustSubmit(by(c.by, "Subject: RECALL <c@corp.test>\r\n\r\n", desk))
		if got := o.state(carls) == holdstore.Recalled; got != c.own {
			t.Errorf("%s: carl's message is %s", name, o.state(carls))
		}
		if c.own {
			continue
		}
		o.mustSubmit(by(c.by, "Subject: what waits?\r\n\r\n", desk))
		o.mustSubmit(by(c.by, "Subject: RECALL LAST\r\n\r\n", desk))
		o.post()
		for to, text := range o.reports {
			if strings.Contains(text, "secret") {
				t.Errorf("%s: %s hears of carl's message:\n%s", name, to, text)
			}
		}
		if o.state(carls) != holdstore.Held || o.state(alices) != holdstore.Recalled {
			t.Errorf("%s: LAST: carl's message is %s, alice's %s", name, o.state(carls), o.state(alices))
		}
	}
}

func TestEachForwardedMessageIsAnswered(t *testing.T) {
	o := newOffice(t)
	one, midOne := o.message("anna", "one", "b@x.test")
	two, midTwo := o.message("anna", "two", "b@x.test")
	answers := o.command("anna", "Subject: Fwd: 3 messages\r\n"+mixed, attached(midOne, midTwo, "<unknown@x.test>",
		midOne))
	if o.state(one) != holdstore.Recalled || o.state(two) != holdstore.Recalled {
		t.Errorf("one is %s, two %s", o.state(one), o.state(two))
	}
	if strings.Count(answers, "Subject: Recalled") != 2 || strings.Count(answers, "no such message") != 1 ||
		strings.Count(answers, "multipart/report") != 3 {
		t.Errorf("the answers:\n%s", answers)
	}
	many := make([]string, command.MaxRefs+5)
	for n := range many {
		many[n] = fmt.Sprintf("<%d@x.test>", n)
	}
	if answers = o.command("anna", "Subject: Fwd: many\r\n"+mixed, attached(many...)); !strings.Contains(answers,
		"at most") {
		t.Errorf("what is beyond the bound has no answer:\n%s", answers)
	}
}

func TestSupersedesGoesOutBeyondTheRate(t *testing.T) {
	o := newOffice(t, func(o *Options) { o.Rate, o.Per = 2, time.Hour })
	for n := range 5 {
		mail := fmt.Sprintf("Subject: faq\r\nSupersedes: <old%d@corp.test>\r\nMessage-ID: <faq%d@corp.test>\r\n\r\n", n, n)
		if id := o.mustSubmit(mailBy("anna", mail, "b@x.test")); id == "" {
			t.Errorf("%d was not held", n)
		}
	}
	if o.post(); strings.Count(o.reports["anna@corp.test"], "Subject: Recall refused") != 1 {
		t.Errorf("the sender is not told once:\n%s", o.reports["anna@corp.test"])
	}
}
