package test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/smtp"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// hold is the ID under which a message was held.
func (o *organisation) hold(id string) string {
	o.t.Helper()
	out, _ := o.ctl("--json", "show", id)
	var h struct{ ID string }
	o.must(json.Unmarshal([]byte(out), &h))
	return h.ID
}

// refusal is what the audit trail says of one: about which hold, from whom, and words of the reason.
type refusal struct{ hold, from, why string }

// refused says whether a refusal is in the audit trail.
func (o *organisation) refused(verb string, want refusal) bool {
	out, _ := o.ctl("--json", "log")
	for line := range strings.Lines(out) {
		var e struct{ Verb, ID, By, Detail string }
		o.must(json.Unmarshal([]byte(line), &e))
		if e.Verb == verb && e.ID == want.hold && strings.Contains(e.By, "<"+want.from+">") &&
			strings.Contains(e.Detail, want.why) {
			return true
		}
	}
	return false
}

// requestID reads from a log which request was made last.
func (o *organisation) requestID() (id string) {
	o.t.Helper()
	server.Eventually(o.t, "a request is made", func() bool {
		log, _ := os.ReadFile(o.log)
		_, rest, found := strings.Cut(string(log), ", request=")
		id, _, _ = strings.Cut(rest, "\n")
		return found
	})
	return id
}

// signedFrom sends a mail that the organisation's signer signs.
func (o *organisation) signedFrom(envelope, to, text string) error {
	return smtp.SendMail(o.postfix.Own, nil, envelope, []string{to}, []byte(text))
}

func statusMail(from, id, outcome string) string {
	return "From: " + from + "\r\nTo: anna@corp.test\r\nSubject: status\r\nDate: " + now() + "\r\nMessage-ID: <status." +
		outcome + from + ">\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: multipart/report; report-type=recall-status; " +
		"boundary=b\r\n\r\n--b\r\n\r\nforged\r\n--b\r\nContent-Type: message/recall-status\r\n\r\n" +
		"Request-Id: " + id +
		"\r\nOriginal-Message-ID: <m@corp.test>\r\n\r\nFinal-Recipient: rfc822; bert@far.test\r\nOutcome: " + outcome +
		"\r\n\r\n--b--\r\n"
}

func TestForgedStatusesAndRequestsChangeNothing(t *testing.T) {
	t.Parallel()
	w := (&world{signing: []string{"SignHeaders *,+content-type"}}).start(t, true)
	w.delivered("m@corp.test", "bert@far.test")
	w.far.boxes.Stop() // so that no true status comes
	w.asks("m@corp.test")
	id := w.corp.requestID()
	other := strings.Repeat("A", len(id))
	stranger := func(from, id string) error {
		return smtp.SendMail(w.corp.mta.smtp, nil, "", []string{"anna@corp.test"}, []byte(statusMail(from, id, "retracted")))
	}
	for name, err := range map[string]error{
		"not signed":      stranger("postmaster@far.test", id),
		"another domain":  stranger("postmaster@evil.test", id),
		"unknown request": stranger("postmaster@far.test", other),
	} {
		if err == nil || !strings.Contains(err.Error(), "recall status refused") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Authentic, of no request of ours; and of a true one by a user instead of a gateway.
	w.far.must(w.far.signedFrom("", "anna@corp.test", statusMail("postmaster@far.test", other, "retracted")))
	w.far.must(w.far.signedFrom("", "anna@corp.test", statusMail("bert@far.test", id, "retracted")))
	w.far.must(w.far.signedFrom("bert@far.test", "anna@corp.test", statusMail("postmaster@far.test", id, "retracted")))
	hold := w.corp.hold("m@corp.test")
	for n, want := range []refusal{{hold, "postmaster@far.test", "sender not authenticated"},
		{hold, "postmaster@evil.test", "sender not authenticated"},
		{"", "postmaster@far.test", "sender not authenticated"}, {"", "postmaster@far.test", "the request is unknown"},
		{hold, "bert@far.test", "From is not the postmaster"}, {hold, "postmaster@far.test", "envelope sender"}} {
		server.Eventually(t, fmt.Sprintf("refusal %d is in the audit trail", n),
			func() bool { return w.corp.refused("status refused", want) })
	}
	if out, _ := w.corp.ctl("--json", "show", "m@corp.test"); !strings.Contains(out, `"result":"requested"`) {
		t.Errorf("a forged status counts:\n%s", out)
	}
	// A colleague of the author asks for the author's message: authentic, and without effect.
	request := strings.NewReplacer(partnerFrom, "carl@corp.test", insider, "bert@far.test", "request@partner.test",
		"r@corp.test").Replace(request("m@corp.test"))
	w.corp.must(w.corp.signedFrom("carl@corp.test", "bert@far.test", request))
	w.far.said("rule=default, verdict=none, reason=no message of that sender to that recipient is known")
	w.far.boxes.Start()
	w.corp.result("m@corp.test", "bert@far.test", "retracted") // by the true request, which waited for the mailboxes
	w.far.said(": retract: ")
	log, _ := os.ReadFile(w.far.log)
	if n := strings.Count(string(log), ": retract: "); n != 1 {
		t.Errorf("%d retractions:\n%s", n, log)
	}
}

// overheard returns what a client says over SMTP in one mail that has some text, as it stands after DATA.
func overheard(stream, text string) string {
	for _, mail := range strings.Split(stream, "\r\nDATA\r\n") {
		mail, _, whole := strings.Cut(mail, "\r\n.\r\n")
		if whole && strings.Contains(mail, text) {
			return mail + "\r\n"
		}
	}
	return ""
}

// sendAs sends a mail as another client does.
func sendAs(client, server, from, to, mail string) error {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(client)}}
	conn, err := d.Dial("tcp", server)
	if err != nil {
		return err
	}
	c, err := smtp.NewClient(conn, client)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, step := range []func() error{func() error { return c.Mail(from) }, func() error { return c.Rcpt(to) }} {
		if err := step(); err != nil {
			return err
		}
	}
	data, err := c.Data()
	if err != nil {
		return err
	}
	data.Write([]byte(mail))
	return data.Close()
}

// Somebody has the very mail of a genuine request, and sends it again: from another client, to another recipient of the
// message, with another Message-ID, and once more after the mailbox has a new copy of the message.
func TestAGenuineRequestServesOnce(t *testing.T) {
	t.Parallel()
	w := startWorld(t, true)
	var mu sync.Mutex
	streams := map[int]string{} // by connection
	w.far.port.Watched(func(conn int, toServer bool, piece []byte) bool {
		mu.Lock()
		defer mu.Unlock()
		if toServer {
			streams[conn] += string(piece)
		}
		return true
	})
	w.delivered("r@corp.test", "bert@far.test", "carl@far.test")
	w.asks("r@corp.test", "--only", "bert@far.test")
	w.corp.result("r@corp.test", "bert@far.test", "retracted")
	mu.Lock()
	request := ""
	for _, stream := range streams {
		request += overheard(stream, "Original-Message-ID: <r@corp.test>")
	}
	mu.Unlock()
	body := strings.Index(request, "\r\n\r\n")
	renamed := strings.Replace(request[:body], "Message-ID: <recall.", "Message-ID: <recall.2", 1) + request[body:]
	for name, replay := range map[string]struct{ client, to, mail, why string }{
		"another client":    {"127.0.0.2", "bert@far.test", request, "the command was used before"},
		"another recipient": {"127.0.0.1", "carl@far.test", request, "the command was used before"},
		"another name":      {"127.0.0.1", "carl@far.test", renamed, "the command was used before"},
		"another Original-Recipient": {"127.0.0.1", "carl@far.test",
			strings.ReplaceAll(request, "bert@far.test", "carl@far.test"), "sender not authenticated"},
	} {
		err := sendAs(replay.client, w.far.mta.smtp, "anna@corp.test", replay.to, replay.mail)
		if !refused(err, "550 5.7.1 recall refused") || !refused(err, replay.why) {
			t.Errorf("%s: %v", name, err)
		}
		server.Eventually(t, name+" is in the audit trail", func() bool {
			return w.far.refused("request refused", refusal{"", "anna@corp.test", "<r@corp.test>: " + replay.why})
		})
	}
	if err := sendAs("127.0.0.1", w.far.mta.smtp, "anna@corp.test", "bert@far.test", request); err != nil {
		t.Errorf("the client that could not know that it was taken: %v", err)
	}
	if got := w.far.folder("carl@far.test", "INBOX"); !slices.Equal(got, []string{"r@corp.test"}) {
		t.Errorf("carl has %q", got)
	}
	if log, _ := os.ReadFile(w.far.log); strings.Count(string(log), ": retract: ") != 1 {
		t.Errorf("retracted again:\n%s", log)
	}
}

// Anna recalls from one recipient first, and from another of the same domain later.
func TestFurtherRecipientsOfTheSameDomainAreAsked(t *testing.T) {
	t.Parallel()
	w := (&world{signing: []string{"SignHeaders *,+content-type"}}).start(t, true)
	w.delivered("two@corp.test", "bert@far.test", "carl@far.test")
	for _, to := range []string{"bert@far.test", "carl@far.test"} {
		w.asks("two@corp.test", "--only", to)
		w.corp.result("two@corp.test", to, "retracted")
	}
}

// A flood of refusals leaves room for what people did.
func TestRefusalsDoNotFloodTheAuditTrail(t *testing.T) {
	t.Parallel()
	f := startFrontier(t, "")
	begin := time.Now()
	for n := range 130 {
		mail := strings.ReplaceAll(request(fmt.Sprintf("x%d@partner.test", n)), "request@", fmt.Sprintf("r%d@", n))
		if err := f.comesIn(partnerFrom, insider, mail); !refused(err, "not authenticated") {
			t.Fatal(err)
		}
	}
	f.original("o@partner.test", "the price list", insider)
	if err := f.comesIn(partnerFrom, insider, request("o@partner.test")); !refused(err, "not authenticated") {
		t.Fatal(err)
	}
	log, _ := f.ctl("log")
	most := 101
	if begin.Truncate(time.Hour) != time.Now().Truncate(time.Hour) { // they are counted by the hour
		most = 131
	}
	if n := strings.Count(log, "request refused"); n < 101 || n > most ||
		!strings.Contains(log, "<o@partner.test>: sender not authenticated") {
		t.Errorf("%d refusals in the audit trail:\n%s", n, log)
	}
}
