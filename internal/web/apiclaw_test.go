package web_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/clawback"
	"github.com/recall-milter/recall-milter/internal/mailbox"
)

const mailboxTable = "\n[inbound.mailbox]\nbackend = \"imap\"\n" +
	"imap = { address = \"127.0.0.1:143\", tls = \"none\", master_user = \"recall\", password_file = \"/dev/null\" }\n"

// cameIn remembers a message that came in.
func (h *house) cameIn(id, subject, content string, to ...string) {
	h.t.Helper()
	d := &holdstore.Delivered{MessageID: id, Author: "mallory@evil.test", Subject: subject, Header: content,
		Recipients: to, At: time.Now()}
	r := holdstore.Remembered{MessageID: id, From: d.Author, Recipients: to, Subjects: []string{subject, content},
		Ways: []holdstore.Way{{Client: "192.0.2.7"}}, At: d.At, Delivered: d}
	if err := h.store.Remember(h.t.Context(), []holdstore.Remembered{r}, time.Hour); err != nil {
		h.t.Fatal(err)
	}
}

// clawOperations are those for operators, as they are used rightly.
func clawOperations(id string) []operation {
	return []operation{{"GET", "/delivered?sender=@evil.test", ""}, {"GET", "/claw-backs", ""},
		{"POST", "/claw-backs", `{"subject": "account", "mailboxes": 2, "reason": "phish"}`},
		{"GET", "/claw-backs/" + id, ""}, {"POST", "/claw-backs/" + id + "/undo", `{}`}}
}

// clawBacks has each operation about claw backs give each of its answers but those of a store that is away.
func (p *program) clawBacks(site, anna string) (id string) {
	h := p.h
	h.t.Helper()
	h.cameIn("<bait@evil.test>", "your account", "1", "anna@corp.test", "bert@corp.test")
	h.cameIn("<bait@evil.test>", "your account", "2", "carl@corp.test")
	code, text := p.do(call{method: "GET", path: "/delivered?sender=@evil.test&message_id=bait@evil.test", token: site})
	if code != 200 || !strings.Contains(text, `"mailboxes":2,"with_apart":3`) {
		h.t.Errorf("the count: %d %s", code, text)
	}
	order := `{"subject": "account", "mailboxes": %d, "reason": "phish", "to": "Quarantine"}`
	code, _ = p.do(call{method: "POST", path: "/claw-backs", token: site, body: fmt.Sprintf(order, 3)})
	if code != 409 {
		h.t.Errorf("with another count: %d", code)
	}
	code, text = p.do(call{method: "POST", path: "/claw-backs", token: site, body: fmt.Sprintf(order, 2)})
	var made struct{ ID string }
	if code != 200 || json.Unmarshal([]byte(text), &made) != nil {
		h.t.Fatalf("the order: %d %s", code, text)
	}
	id = made.ID
	undo := call{method: "POST", path: "/claw-backs/" + id + "/undo", token: site}
	code, text = p.do(undo)
	if c, err := h.store.ClawBack(h.t.Context(), id); err != nil || code != 409 || !strings.Contains(text, "is stopped") ||
		!c.Stopped || h.trail(clawback.VerbStop, "token site") != 1 {
		h.t.Errorf("undone before anything was moved: %d %s, %v %v", code, text, c, err)
	}
	moved := mailbox.Clawed{Outcome: mailbox.Moved,
		Copies: []mailbox.Copy{{Folder: "INBOX", ID: "1/1", To: "T", Now: "1/2"}}}
	e := holdstore.Entry{Verb: "retract"}
	if err := h.store.EndClaw(h.t.Context(), id, 1, moved.Outcome, moved, false, time.Hour, e); err != nil {
		h.t.Fatal(err)
	}
	code, text = p.do(call{method: "GET", path: "/claw-backs/" + id, token: site})
	if code != 200 || !strings.Contains(text, `"left":1`) || !strings.Contains(text,
		`{"mailbox":"bert@corp.test","message_id":"\u003cbait@evil.test\u003e","outcome":"moved"}`) {
		h.t.Errorf("the outcomes: %d %s", code, text)
	}
	code, text = p.do(undo)
	if code != 200 || !strings.Contains(text, `"undoes":"`+id+`"`) || !strings.Contains(text, `"mailboxes":1`) {
		h.t.Errorf("the undo: %d %s", code, text)
	}
	for _, o := range clawOperations(id) {
		c := call{method: o.method, path: o.path, body: o.body}
		p.wrongToken(&c)
		c.header = nil
		for _, with := range []struct {
			token, login string
			code         int
		}{{"", "", 401}, {anna, "anna", 403}, {site, "", 200}} {
			c.token, c.login = with.token, with.login
			if code, text := p.do(c); code != with.code {
				h.t.Errorf("%s %s: %d, want %d\n%s", c.method, c.path, code, with.code, text)
			}
		}
	}
	p.wrongClawBacks(site, id)
	return id
}

// wrongClawBacks asks for what there is not.
func (p *program) wrongClawBacks(site, id string) {
	p.h.t.Helper()
	for _, c := range []struct {
		method, path, body, kind string
		code                     int
	}{
		{"GET", "/delivered", "", "", 400}, {"GET", "/delivered?x=y", "", "", 400},
		{"GET", "/delivered?since=x", "", "", 400},
		{"GET", "/claw-backs/NONE", "", "", 404}, {"POST", "/claw-backs/NONE/undo", "", "", 404},
		{"GET", "/claw-backs/" + id + "?cursor=x", "", "", 400},
		{"POST", "/claw-backs", `{"mailboxes": 1}`, "", 422}, {"POST", "/claw-backs", `{`, "", 400},
		{"POST", "/claw-backs", `{"subject": "a", "delete": true, "to": "X", "mailboxes": 1}`, "", 422},
		{"POST", "/claw-backs", `{}`, "text/plain", 415}, {"POST", "/claw-backs", strings.Repeat(" ", 70_000), "", 413},
		{"POST", "/claw-backs/" + id + "/undo", `{`, "", 400},
		{"POST", "/claw-backs/" + id + "/undo", `{}`, "text/plain", 415},
		{"POST", "/claw-backs/" + id + "/undo", strings.Repeat(" ", 70_000), "", 413},
		{"POST", "/claw-backs/" + id + "/undo", `{"reason": "` + strings.Repeat("a", 1001) + `"}`, "", 422},
	} {
		code, text := p.do(call{method: c.method, path: c.path, body: c.body, kind: c.kind, token: site})
		if code != c.code {
			p.h.t.Errorf("%s %s %.40q: %d, want %d\n%s", c.method, c.path, c.body, code, c.code, text)
		}
	}
}

// Who ordered a claw back is known, and who tried to and may not.
func TestTheTrailKnowsWhoOrderedAClawBack(t *testing.T) {
	t.Parallel()
	h := open(t, mailboxTable)
	p := h.program()
	h.cameIn("<bait@evil.test>", "your account", "1", "anna@corp.test", "bert@corp.test")
	for token, code := range map[string]int{h.token("soc", "admin"): 200, h.token("help", "act"): 403} {
		c := call{method: "POST", path: "/claw-backs", token: token, body: `{"subject": "account", "mailboxes": 2}`}
		if got, text := p.do(c); got != code {
			t.Errorf("%d, want %d\n%s", got, code, text)
		}
	}
	said := map[string]string{}
	for e, err := range h.store.Log(t.Context(), time.Time{}, false) {
		if err == nil {
			said[e.Verb] += e.By + ": " + e.Detail + "\n"
		}
	}
	if said[clawback.VerbTake] != "token soc: 2 mailboxes: to the trash\n" ||
		said["web refused"] != "token help: a claw back\n" {
		t.Errorf("the trail: %q", said)
	}
}
