package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/recall-milter/recall-milter/test/server"
)

// mailroom is a gateway whose users at corp.test have mailboxes, into which mail from the world comes.
type mailroom struct {
	*organisation
	killed int // daemons, and stores and mail servers behind them
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
	return &mailroom{organisation: &organisation{gateway: g, domain: "corp.test", boxes: boxes}}
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

// Of what comes in only the bait is taken, in whatever folder it is, and its user is told once. All of it comes back as
// it was, also when the daemon, Redis and the IMAP server are killed meanwhile ("make torture": in 200 mailboxes).
func TestAMessageIsClawedBackAndGivenBack(t *testing.T) {
	t.Parallel()
	m, users, torture := startMailroom(t, "notice = \"always\""), 4, os.Getenv("TORTURE") != ""
	if torture {
		users = 200
	}
	m.baited(users)
	before := m.mailboxes(users)
	id := m.clawsBack(torture, "--subject", "account", "--reason", "phish")
	after := m.mailboxes(users)
	for user, was := range before {
		for where, n := range was {
			_, what, _ := strings.Cut(where, " ")
			bait := strings.HasPrefix(what, "bait@evil.test your account [") && strings.HasSuffix(what, "click here")
			switch {
			case !bait:
				if after[user][where] != n {
					t.Errorf("%s: %s was there %d times, and is %d times", user, where, n, after[user][where])
				}
			case after[user][where] != 0:
				t.Errorf("%s: %s is still there", user, where)
			case after[user]["Trash "+what] == 0:
				t.Errorf("%s: %s is not in the trash:\n%v", user, where, after[user])
			}
		}
	}
	if !torture {
		id = "<bait@evil.test>"
	}
	m.clawsBack(torture, "--undo", id)
	again, doubled := m.mailboxes(users), 0
	for user, had := range before {
		for where, n := range again[user] {
			if torture && n > had[where] && had[where] > 0 { // the server was killed between copy and removal of its MOVE
				doubled += n - had[where]
				again[user][where] = had[where]
			}
		}
		if !reflect.DeepEqual(again[user], had) {
			t.Errorf("%s had\n%v\nand has\n%v", user, had, again[user])
		}
	}
	if t.Logf("%d copies too many", doubled); doubled > users/10 {
		t.Errorf("%d copies too many, of %d users", doubled, users)
	}
	log, _ := m.ctl("log")
	if !strings.Contains(log, "user0@corp.test <bait@evil.test>: moved") || !strings.Contains(log, "reason: phish") {
		t.Errorf("the audit trail:\n%s", log)
	}
	for n := range users { // once for the claw back, and once for its undo
		if entries := strings.Count(log, fmt.Sprintf(" user%d@corp.test <bait", n)); entries != 2 {
			t.Errorf("user%d: %d lines in the audit trail", n, entries)
		}
	}
	if !torture { // what has another content is taken when that is asked for
		out, code := m.ctl("retract", "<bait@evil.test>", "--subject", "your account", "--recipient", mailUser(1),
			"--apart=changed", "--yes")
		left := 0
		for _, id := range m.folder(mailUser(1), "INBOX") {
			if id == "bait@evil.test" {
				left++
			}
		}
		if code != 0 || left != 1 { // the draft did not come by mail
			t.Errorf("--apart=changed: exit %d, %d are left\n%s", code, left, out)
		}
	}
	m.everybodyIsTold(users)
}

// everybodyIsTold waits until each user is told that a message was taken, by one mail. Whoever kills the daemon while
// it hands a mail over has that one arrive twice, as with every held mail: as many as one daemon sends at once.
func (m *mailroom) everybodyIsTold(users int) {
	m.t.Helper()
	twice := 0
	for n := range users {
		user := mailUser(n)
		server.Eventually(m.t, user+" is told", func() bool { return len(m.told(user)) > 0 })
		told := m.told(user)
		if twice += len(told) - 1; len(slices.Compact(told)) != 1 {
			m.t.Errorf("%s is told by several mails: %v", user, told)
		}
	}
	if most := m.killed * sendsAtOnce; twice > most {
		m.t.Errorf("%d mails arrived twice, and %d daemons were killed", twice, m.killed)
	}
}

// sendsAtOnce is release.concurrency without a line.
const sendsAtOnce = 8

// told are the Message-IDs of the mails that told a user that a message was taken.
func (m *mailroom) told(user string) (all []string) {
	for _, id := range m.folder(user, "INBOX") {
		if strings.HasPrefix(id, "recall.taken.") {
			all = append(all, id)
		}
	}
	slices.Sort(all)
	return all
}

func mailUser(n int) string { return fmt.Sprintf("user%d@corp.test", n) }

// baited fills mailboxes: with the bait, which some have read or filed, and with what only looks like it.
func (m *mailroom) baited(users int) {
	m.t.Helper()
	var all []string
	for n := range users {
		all = append(all, mailUser(n))
	}
	m.comesIn("bait@evil.test", "Subject: your account\r\n", "click here", all...)
	m.comesIn("bait@evil.test", "Subject: your accounts\r\n", "click here", all...) // the same ID, another content
	m.comesIn("bait@evil.test", "Subject: your account\r\n", "see you at noon", all...)
	m.comesIn("more.bait@evil.test", "Subject: lunch\r\n", "at noon", all...)
	for n, user := range all {
		c := m.login(user)
		_, err := c.Select("INBOX", nil).Wait()
		m.must(err)
		switch first := imap.SeqSetNum(1); n % 4 { // the bait came first
		case 1:
			m.must(c.Store(first, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagSeen}}, nil).Close())
		case 2:
			m.must(c.Create("Work", nil).Wait())
			_, err = c.Move(first, "Work").Wait()
			m.must(err)
		case 3: // and a copy
			m.must(c.Create("Keep", nil).Wait())
			_, err = c.Copy(first, "Keep").Wait()
			m.must(err)
		}
		own := []byte("From: Mallory <mallory@evil.test>\r\nDate: Sat, 28 Nov 2026 09:00:00 +0000\r\n" +
			"Message-ID: <bait@evil.test>\r\nSubject: your account (draft)\r\n\r\nclick here\r\n")
		a := c.Append("INBOX", int64(len(own)), nil)
		_, err = a.Write(own)
		m.must(errors.Join(err, a.Close()))
		_, err = a.Wait()
		m.must(err)
		c.Close()
	}
}

// mailboxes says how often each user has each message, in which folder and with which flags.
func (m *mailroom) mailboxes(users int) map[string]map[string]int {
	m.t.Helper()
	all := map[string]map[string]int{}
	for n := range users {
		user, has := mailUser(n), map[string]int{}
		c := m.login(user)
		folders, err := c.List("", "*", nil).Collect()
		m.must(err)
		for _, f := range folders {
			if box, err := c.Select(f.Mailbox, &imap.SelectOptions{ReadOnly: true}).Wait(); err != nil || box.NumMessages == 0 {
				continue
			}
			messages, err := c.Fetch(imap.SeqSet{imap.SeqRange{Start: 1}}, &imap.FetchOptions{Envelope: true, Flags: true,
				BodySection: []*imap.FetchItemBodySection{{Specifier: imap.PartSpecifierText, Peek: true}}}).Collect()
			m.must(err)
			for _, one := range messages {
				if strings.HasPrefix(one.Envelope.MessageID, "recall.taken.") { // our own
					continue
				}
				flags := slices.DeleteFunc(one.Flags, func(f imap.Flag) bool { return f == `\Recent` })
				has[fmt.Sprint(f.Mailbox, " ", one.Envelope.MessageID, " ", one.Envelope.Subject, " ", flags, " ",
					strings.TrimSpace(string(one.BodySection[0].Bytes)))]++
			}
		}
		all[user] = has
		c.Close()
	}
	return all
}

// clawsBack has recallctl retract do something, and wants one outcome for each mailbox: moved, or returned. kills says
// whether everybody is killed meanwhile, recallctl as well.
func (m *mailroom) clawsBack(kills bool, args ...string) (id string) {
	m.t.Helper()
	args = append([]string{"--json", "retract", "--yes"}, args...)
	if kills {
		id = m.clawsBackKilled(args...)
		args = []string{"--json", "retract", "--status", id}
	}
	out, code := m.ctl(args...)
	id, outcomes := clawed(m.t, out)
	want := "moved"
	if slices.Contains(args, "--undo") {
		want = "returned"
	}
	for mailbox, outcome := range outcomes {
		if outcome != want && !kills || outcome != "moved" && outcome != "returned" {
			m.t.Errorf("%s: %s", mailbox, outcome)
		}
	}
	if code != 0 || len(outcomes) == 0 {
		m.t.Fatalf("exit %d\n%s", code, out)
	}
	return id
}

// clawsBackKilled kills everybody in turn while a claw back goes on, and waits for its end.
func (m *mailroom) clawsBackKilled(args ...string) (id string) {
	m.t.Helper()
	known := map[string]bool{}
	for _, c := range m.claws() {
		known[c.ID] = true
	}
	c := exec.Command(filepath.Join(programs, "recallctl"), append([]string{"-c", m.conf}, args...)...)
	m.must(c.Start())
	left := func() int {
		for _, c := range m.claws() {
			if !known[c.ID] {
				id = c.ID
				return c.Left
			}
		}
		return -1
	}
	server.Eventually(m.t, "it is ordered", func() bool { return left() >= 0 })
	c.Process.Kill()
	c.Wait()
	deaths := []func(){func() { m.killDaemon(); m.startDaemon() }, func() { m.redis.Kill(); m.redis.Start() },
		func() { m.boxes.Kill(); m.boxes.Start() }}
	killed := 0
	for start, until := left(), time.Now().Add(10*time.Minute); time.Now().Before(until); {
		n := left()
		if n == 0 {
			break
		}
		if n > 0 && n < start-10*killed && n < start { // each ten mailboxes somebody dies
			deaths[killed%len(deaths)]()
			killed++
		}
	}
	if m.killed += killed; killed < len(deaths) {
		m.t.Errorf("only %d were killed", killed)
	}
	m.t.Logf("%d were killed", killed)
	return id
}

// claws lists the claw backs.
func (m *mailroom) claws() (all []struct {
	ID   string
	Left int
}) {
	out, _ := m.ctl("--json", "retract", "--status")
	for line := range strings.Lines(out) {
		all = append(all, struct {
			ID   string
			Left int
		}{})
		m.must(json.Unmarshal([]byte(line), &all[len(all)-1]))
	}
	return all
}
