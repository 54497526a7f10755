package test

import (
	"encoding/json"
	"fmt"
	"net/smtp"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"

	"github.com/recall-milter/recall-milter/test/server"
)

// mailroom is a gateway whose users at corp.test have mailboxes, into which mail from the world comes.
type mailroom struct {
	*organisation
}

// startMailroom starts one; settings are further lines of [inbound.mailbox].
func startMailroom(t *testing.T, settings ...string) *mailroom {
	t.Helper()
	boxes := server.StartMailboxes(t)
	var postfix *server.Postfix
	g := startGatewayWith(t, "1h", func(milter, nextHop string) mta {
		postfix = server.StartPostfix(t, milter, nextHop,
			"transport_maps = inline:{ "+strings.Join(delivery("corp.test", []string{"lmtp:" + boxes.LMTP}), ", ")+" }")
		return ofPostfix(postfix)
	})
	g.postfix = postfix
	g.configure(fmt.Sprintf("[outbound]\nnetworks = []\ndaemon_names = []\n[inbound.mailbox]\nbackend = \"imap\"\n"+
		"imap = { address = %q, master_user = %q, password_file = %q }\n%s\n", boxes.IMAP, boxes.Master,
		boxes.MasterPassword, strings.Join(settings, "\n")))
	return &mailroom{&organisation{gateway: g, domain: "corp.test", boxes: boxes}}
}

// comesIn delivers a message from the world, and waits until all its recipients have it.
func (m *mailroom) comesIn(id, header, body string, to ...string) {
	m.t.Helper()
	before := map[string]int{}
	count := func(user string) (n int) {
		for _, have := range m.folder(user, "INBOX") {
			if have == id {
				n++
			}
		}
		return n
	}
	for _, user := range to {
		before[user] = count(user)
	}
	m.must(smtp.SendMail(m.mta.smtp, nil, "mallory@evil.test", to, []byte("From: Mallory <mallory@evil.test>\r\n"+
		"To: undisclosed-recipients:;\r\nDate: Sat, 28 Nov 2026 09:00:00 +0000\r\nMessage-ID: <"+id+">\r\n"+header+"\r\n"+
		body+"\r\n")))
	for _, user := range to {
		server.Eventually(m.t, user+" has "+id, func() bool { return count(user) > before[user] })
	}
	server.Eventually(m.t, id+" is remembered", func() bool {
		_, code := m.ctl("retract", "<"+id+">")
		return code == 64 // it was found, and nobody has said yes
	})
}

// clawed is what came of a claw back: outcomes by mailbox.
func clawed(t *testing.T, out string) (id string, outcomes map[string]string) {
	t.Helper()
	outcomes = map[string]string{}
	for line := range strings.Lines(out) {
		var one struct {
			ClawBack  string `json:"claw_back"`
			Mailbox   string
			MessageID string `json:"message_id"`
			Outcome   string
		}
		if json.Unmarshal([]byte(line), &one) != nil || one.Mailbox == "" {
			continue
		}
		key := one.Mailbox + " " + one.MessageID
		if outcomes[key] != "" {
			t.Errorf("two outcomes for %s", key)
		}
		id, outcomes[key] = one.ClawBack, one.Outcome
	}
	return id, outcomes
}

func TestAMessageIsClawedBackAndGivenBack(t *testing.T) {
	t.Parallel()
	m := startMailroom(t)
	bert, carl := "bert@corp.test", "carl@corp.test"
	m.comesIn("other@evil.test", "Subject: lunch\r\n", "at noon", bert)
	m.comesIn("bait@evil.test", "Subject: your account\r\n", "click here", bert, carl)
	m.flag(carl, imap.FlagSeen)
	out, code := m.ctl("--json", "retract", "--sender", "@evil.test", "--subject", "account", "--yes", "--reason", "phish")
	id, outcomes := clawed(t, out)
	if code != 0 || len(outcomes) != 2 || outcomes[bert+" <bait@evil.test>"] != "moved" ||
		outcomes[carl+" <bait@evil.test>"] != "moved" {
		t.Fatalf("exit %d\n%s", code, out)
	}
	if got := m.folder(bert, "INBOX"); !slices.Equal(got, []string{"other@evil.test"}) {
		t.Errorf("bert has %q", got)
	}
	if got := m.folder(carl, "Trash"); !slices.Equal(got, []string{"bait@evil.test"}) {
		t.Errorf("carl's trash has %q", got)
	}
	if log, _ := m.ctl("log"); !strings.Contains(log, "bert@corp.test <bait@evil.test>: moved") ||
		!strings.Contains(log, "reason: phish") {
		t.Errorf("the audit trail:\n%s", log)
	}
	out, code = m.ctl("--json", "retract", "--undo", id, "--yes")
	_, outcomes = clawed(t, out)
	if code != 0 || len(outcomes) != 2 || outcomes[bert+" <bait@evil.test>"] != "returned" {
		t.Fatalf("exit %d\n%s", code, out)
	}
	for user, seen := range map[string]bool{bert: false, carl: true} {
		if got := m.flagged(user, "bait@evil.test"); got == nil || slices.Contains(got, imap.FlagSeen) != seen {
			t.Errorf("%s: flags %v", user, got)
		}
	}
}

// flagged returns the flags of a message in an inbox; nil: it is not there.
func (o *organisation) flagged(user, id string) []imap.Flag {
	o.t.Helper()
	c := o.login(user)
	defer c.Close()
	_, err := c.Select("INBOX", &imap.SelectOptions{ReadOnly: true}).Wait()
	o.must(err)
	all, _ := c.Fetch(imap.SeqSet{imap.SeqRange{Start: 1}}, &imap.FetchOptions{Envelope: true, Flags: true}).Collect()
	for _, m := range all {
		if m.Envelope.MessageID == id {
			return append([]imap.Flag{}, m.Flags...)
		}
	}
	return nil
}
