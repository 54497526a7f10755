package recall

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/outlook"
)

// example is one row of the manual's table: a mail, what it recalls, and how it is answered. The sender has three
// messages that wait: an older one, "prices" to b@x.test and c@x.test with the given Message-ID, and the newest.
type example struct {
	mail    string // as the manual says it
	others  bool   // it is for b@x.test and c@x.test, and not for the recall address
	write   func(mid, id string) (header, body string)
	recalls string // which message: "that message", "the newest", "nothing", or for whom
	answer  string // name of the text; "" is none
}

func subjects(format string) func(mid, id string) (string, string) {
	return func(mid, id string) (string, string) {
		return "Subject: " + strings.NewReplacer("MID", mid, "HOLD", id).Replace(format) + "\r\n", ""
	}
}

func texts(header, format string) func(mid, id string) (string, string) {
	return func(mid, id string) (string, string) {
		r := strings.NewReplacer("MID", mid, "HOLD", id)
		return r.Replace(header), r.Replace(format)
	}
}

const reply = "Subject: Re: prices\r\nIn-Reply-To: MID\r\n"

func attached(ids ...string) string {
	text := "--b\r\nContent-Type: text/plain\r\n\r\nplease\r\n"
	for _, id := range ids {
		text += "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: prices\r\nMessage-ID: " + id + "\r\n\r\nbody\r\n"
	}
	return text + "--b--\r\n"
}

const mixed = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"

var examples = []example{
	{"subject `RECALL Message-ID: <...>`", false, subjects("RECALL Message-ID: MID"), "that message", "recalled"},
	{"subject `RECALL <...>`, also in lower case, and behind `Re:`, `Antwort:`, `[EXT]` and the like", false,
		subjects("Antwort: [EXT] recall MID."), "that message", "recalled"},
	{"subject `RECALL` and the number of the message, or its queue ID", false, subjects("RECALL HOLD"), "that message",
		"recalled"},
	{"subject `RECALL LAST`", false, subjects("RECALL LAST"), "the newest", "recalled"},
	{"a reply to the message", false, texts(reply, "please\r\n"), "that message", "recalled"},
	{"a reply to a notice or a report of ours", false,
		texts("Subject: Re: Waiting\r\nIn-Reply-To: <recall.HOLD.X@gw.corp.test>\r\n", ""), "that message", "recalled"},
	{"a reply to another message of the thread", false,
		texts("Subject: Re: prices\r\nIn-Reply-To: <other@x.test>\r\nReferences: MID <other@x.test>\r\n", ""), "nothing",
		"not-found"},
	{"the message, forwarded as an attachment", false, func(mid, _ string) (header, body string) {
		return "Subject: Fwd: prices\r\n" + mixed, attached(mid)
	}, "that message", "recalled"},
	{"the message, forwarded in the text with its `Message-ID:` line", false,
		texts("Subject: Fwd: prices\r\n", "----- Forwarded message -----\r\nFrom: anna\r\nMessage-ID: MID\r\n"),
		"that message", "recalled"},
	{"a `Message-ID:` line that is quoted", false, texts("Subject: Re: prices\r\n",
		"> From: anna\r\n> Message-ID: MID\r\n"), "nothing", "help"},
	{"`ONLY` and addresses in the subject", false, subjects("RECALL MID ONLY b@x.test"), "for b@x.test", "recalled"},
	{"a line `ONLY` and addresses, with names, wrapped, or in HTML", false, texts(reply+"Content-Type: text/html\r\n",
		"<p>Only: Bert &lt;b@x.test&gt;,<br>d@x.test.</p>"), "for b@x.test", "recalled"},
	{"`ONLY` and names without addresses", false, texts(reply, "ONLY bert\r\n"), "nothing", "help"},
	{"\"only\" and a name in a sentence", false, texts(reply, "Please recall it only for Bert.\r\n"), "nothing", "help"},
	{"a line of prose that begins with \"only\"", false, texts(reply, "Only three seats are left.\r\n"), "that message",
		"recalled"},
	{"an empty mail, or one that names no message", false, subjects(""), "nothing", "help"},
	{"`Auto-Submitted`, `List-*`, `Resent-*`, `Delivered-To`, `Precedence: bulk` in a mail to the recall address", false,
		texts("Resent-From: anna@corp.test\r\n"+reply, ""), "nothing", "550"},
	{"Outlook's recall, with `winmail.dat`, in any language", true, recallOf("Terugroepen:", outlook.Recall.FormA),
		"that message", "recalled"},
	{"Outlook's recall as Exchange sends it, in any language", true, recallOf("Terugroepen:", outlook.Recall.FormB),
		"that message", "recalled"},
	{"only the subject of a recall", true, subjects("Recall: prices"), "nothing", ""},
	{"Outlook's recall with another address in `From` than in the envelope", true,
		foreign(recallOf("Recall:", outlook.Recall.FormB)), "nothing", ""},
	{"Outlook's report on a recall", true, texts("Subject: Message Recall Failure: prices\r\nContent-Class: "+
		"urn:content-classes:recallreport\r\nThread-Topic: prices\r\n", ""), "nothing", ""},
	{"`Supersedes: <...>`", true, texts("Subject: prices, corrected\r\nSupersedes: MID\r\n", ""), "that message",
		"recalled"},
	{"`Supersedes` of an unknown message", true, texts("Subject: prices\r\nSupersedes: <unknown@x.test>\r\n", ""),
		"nothing", "not-found"},
	{"`RECALL <...>` to somebody else than the recall address", true, subjects("RECALL MID"), "nothing", ""},
}

func recallOf(prefix string, form func(outlook.Recall) string) func(mid, id string) (string, string) {
	return func(string, string) (string, string) {
		head, body, _ := strings.Cut(form(outlook.Recall{From: "LOGIN@corp.test", To: "b@x.test", Subject: "prices",
			Prefix: prefix}), "\r\n\r\n")
		return head + "\r\n", body
	}
}

func foreign(write func(mid, id string) (string, string)) func(mid, id string) (string, string) {
	return func(mid, id string) (string, string) {
		header, body := write(mid, id)
		return strings.Replace(header, "LOGIN@corp.test", "bert@far.test", 1), body
	}
}

// TestCommandsAreTheTableInTheManual tries each mail that the manual lists. UPDATE_DOCS=1 writes the table. Each
// command has exactly one answer.
func TestCommandsAreTheTableInTheManual(t *testing.T) {
	o := newOffice(t)
	table := "| a mail | recalls | answer |\n|---|---|---|\n"
	for n, e := range examples {
		recalls, answer := o.tryExample(n, e)
		if recalls != e.recalls || answer != e.answer {
			t.Errorf("%s: recalls %s, answer %q; want %s, %q", e.mail, recalls, answer, e.recalls, e.answer)
		}
		to, shown := "", map[string]string{"": "none: ordinary mail", "550": "550 while sending"}[answer]
		if e.others {
			to = ", to the recipients"
		}
		if shown == "" {
			shown = "`" + answer + ".txt`"
		}
		table += fmt.Sprintf("| %s%s | %s | %s |\n", e.mail, to, recalls, shown)
	}
	const file = "../../docs/recall-by-mail.md"
	manual, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(manual), "| a mail |")
	_, after, ended := strings.Cut(rest, "\n\n")
	if want := before + table + "\n" + after; !found || !ended || want != string(manual) {
		if os.Getenv("UPDATE_DOCS") != "" && found && ended {
			os.WriteFile(file, []byte(want), 0o644)
		}
		t.Errorf("%s says something else; UPDATE_DOCS=1 go test ./internal/recall writes:\n%s", file, table)
	}
}

// tryExample says what became of the messages, and which answer came; "several" is none that a sender may get.
func (o *office) tryExample(n int, e example) (recalls, answer string) {
	o.t.Helper()
	login := fmt.Sprintf("user%d", n)
	old := o.mustSubmit(dated(login, fmt.Sprintf("<old%d@corp.test>", n), "old prices"))
	mid := fmt.Sprintf("<this%d@corp.test>", n)
	this := o.mustSubmit(dated(login, mid, "prices"))
	o.tick()
	newest := o.mustSubmit(dated(login, fmt.Sprintf("<new%d@corp.test>", n), "other prices"))
	logged := len(o.log)
	header, body := e.write(mid, this)
	header = strings.ReplaceAll(header, "LOGIN", login)
	if !strings.Contains(header, "Message-ID: ") {
		header += fmt.Sprintf("Message-ID: <command%d@corp.test>\r\n", n)
	}
	to := []string{desk}
	if e.others {
		to = []string{"b@x.test", "c@x.test"}
	}
	if _, refusal, err := o.submit(mailBy(login, header+"\r\n"+body, to...)); err != nil || refusal != "" {
		answer = refusal[:min(3, len(refusal))]
	}
	for _, line := range o.log[logged:] {
		kind := strings.Fields(line)[1]
		switch {
		case kind == "ignored":
		case answer != "":
			answer = "several"
		default:
			answer = kind
		}
	}
	if o.state(old) != holdstore.Held {
		return "an older message", answer
	}
	h, err := o.store.Get(o.t.Context(), this)
	switch {
	case err != nil:
		o.t.Fatal(err)
	case h.State == holdstore.Recalled:
		return "that message", answer
	case h.Results[0].Outcome == holdstore.TakenBack:
		return "for " + h.Recipients[0].Address, answer
	case o.state(newest) == holdstore.Recalled:
		return "the newest", answer
	}
	return "nothing", answer
}

func dated(login, mid, subject string) letterOf {
	return mailBy(login,
		"Subject: "+subject+"\r\nDate: Tue, 24 Nov 2026 09:00:00 +0000\r\nMessage-ID: "+mid+"\r\n\r\nbody\r\n", "b@x.test",
		"c@x.test")
}
