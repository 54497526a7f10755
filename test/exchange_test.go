package test

import (
	"cmp"
	"fmt"
	"net"
	"net/smtp"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/recall-milter/recall-milter/test/outlook"
	"github.com/recall-milter/recall-milter/test/server"
)

// organisation is a whole site: a gateway with a DKIM signer, users who log in, and mailboxes.
type organisation struct {
	*gateway
	domain string
	port   *server.Proxy // where mail from the world comes in
	boxes  *server.Mailboxes
	signer *server.OpenDKIM
}

// world is two organisations that know each other by DNS only.
type world struct {
	corp, far *organisation
	dns       *server.DNS
	signing   []string      // further lines for the signers
	mta       []string      // and for main.cf
	lmtp      *server.Proxy // by which mail gets into the mailboxes
	within    string        // answer_within of corp.test; empty: longer than any test
}

// startWorld starts corp.test, where anna works, and far.test, where bert does; boxes says whether the gateway of
// far.test has a way into its mailboxes, and settings are further lines of that table.
func startWorld(t *testing.T, boxes bool, settings ...string) *world {
	t.Helper()
	return (&world{}).start(t, boxes, settings...)
}

func (w *world) start(t *testing.T, boxes bool, settings ...string) *world {
	t.Helper()
	w.dns = server.StartDNS(t)
	corpPort, farPort := server.StartProxy(t), server.StartProxy(t)
	w.corp = w.organisation(t, "corp.test", corpPort, "far.test", farPort)
	w.corp.open(w.dns,
		fmt.Sprintf("[recall]\naddresses = [\"recall@corp.test\"]\nanswer_within = %q\n", cmp.Or(w.within, "10m")))
	if !boxes {
		w.far = w.organisation(t, "far.test", farPort, "corp.test", corpPort)
		w.far.open(w.dns, "")
		return w
	}
	m := server.StartMailboxes(t)
	w.lmtp = server.StartProxy(t)
	w.lmtp.To(m.LMTP)
	w.far = w.organisation(t, "far.test", farPort, "corp.test", corpPort, "lmtp:"+w.lmtp.Addr)
	w.far.boxes = m
	w.far.open(w.dns,
		fmt.Sprintf("[inbound.mailbox]\nbackend = \"imap\"\nimap = { address = %q, master_user = %q, password_file = %q "+
			"}\n%s\n",
			m.IMAP, m.Master, m.MasterPassword, strings.Join(settings, "\n")))
	return w
}

// organisation starts the servers of a site whose mail to a peer goes to a port.
func (w *world) organisation(t *testing.T, domain string, port *server.Proxy, peer string, peerPort *server.Proxy,
	local ...string) *organisation {
	t.Helper()
	signer := server.StartOpenDKIM(t, domain, w.signing...)
	w.dns.Add(t, "s1._domainkey."+domain+`. TXT "`+signer.Record+`"`)
	w.dns.Add(t, "_dmarc."+domain+`. TXT "v=DMARC1; p=reject"`)
	var postfix *server.Postfix
	g := startGatewayWith(t, "1s", func(milter, nextHop string) mta {
		host, number, _ := net.SplitHostPort(peerPort.Addr)
		postfix = server.StartPostfix(t, milter, nextHop, append(w.mta, "myhostname = gw."+domain,
			"smtpd_milters = inet:"+signer.Milter+", inet:"+milter, "own_milters = inet:"+signer.Milter, "queue_run_delay = 1s",
			"maximal_backoff_time = 2s",
			"transport_maps = inline:{ "+strings.Join(append(delivery(domain, local),
				fmt.Sprintf("{%[1]s = smtp:[%[2]s]:%[3]s}, {.%[1]s = smtp:[%[2]s]:%[3]s}", peer, host, number)), ", ")+" }",
			server.StartLogins(t, "anna", "bert"))...)
		return ofPostfix(postfix)
	})
	g.postfix = postfix
	return &organisation{gateway: g, domain: domain, port: port, signer: signer}
}

// delivery says how mail for a domain of ours, and those below it, is delivered, when it isn't relayed.
func delivery(domain string, local []string) (all []string) {
	for _, way := range local {
		all = append(all,
			fmt.Sprintf("{%[1]s = %[2]s}, {.%[1]s = %[2]s}", domain, strings.Replace(way, "lmtp:", "lmtp:inet:", 1)))
	}
	return all
}

// open configures the gateway and lets mail of the world in.
func (o *organisation) open(d *server.DNS, settings string) {
	o.t.Helper()
	o.change("[release]\n", "[release]\nown_smtp = \""+o.postfix.Own+"\"\n")
	o.configure(fmt.Sprintf("[outbound]\nnetworks = []\ndaemon_names = []\n[inbound]\nauthserv_id = \"gw.%s\"\ndns = "+
		"%q\n%s", o.domain, d.Addr, settings))
	o.port.To(o.postfix.SMTP)
}

// result waits until a recipient of a message has a result.
func (o *organisation) result(ref, recipient, want string) {
	o.t.Helper()
	server.Eventually(o.t, recipient+" is "+want, func() bool {
		out, _ := o.ctl("--json", "show", ref)
		return strings.Contains(out, fmt.Sprintf(`{"address":%q,"result":%q`, recipient, want))
	})
}

func (w *world) sent(id string, to ...string) {
	w.corp.t.Helper()
	w.corp.message("anna", id, to...)
	for _, r := range to {
		w.corp.result(id, r, "sent")
	}
}

func TestALateRecallIsAskedForAndTheSenderHearsWhatCameOfIt(t *testing.T) {
	t.Parallel()
	w := startWorld(t, false)
	w.sent("late@corp.test", "bert@far.test")
	server.Eventually(t, "it is delivered", func() bool { return w.far.arrived("late@corp.test") == 1 })
	w.corp.command("anna", "Subject: RECALL <late@corp.test>\r\n", "")
	if answer := w.corp.report("anna", "Too late to recall: the price list"); !strings.Contains(answer,
		"were asked to take it back") {
		t.Errorf("the first answer:\n%s", answer)
	}
	w.corp.result("late@corp.test", "bert@far.test", "refused")
	report := w.corp.report("anna", "What became of your recall: the price list")
	if !strings.Contains(report, "this gateway has no way into the mailbox") ||
		!strings.Contains(report, "Outcome: refused") {
		t.Errorf("the report:\n%s", report)
	}
	w.corp.must(smtp.SendMail(w.corp.mta.smtp, nil, "", []string{"anna@corp.test"},
		[]byte("From: bert@far.test\r\nTo: anna@corp.test\r\nSubject: Read\r\n"+
			"Content-Type: multipart/report; report-type=disposition-notification; boundary=b\r\n\r\n--b\r\n\r\nbody of "+
			"receipt\r\n--b\r\nContent-Type: message/disposition-notification\r\n\r\n"+
			"Reporting-UA: x\r\nFinal-Recipient: rfc822;bert@far.test\r\nOriginal-Message-ID: "+
			"<late@corp.test>\r\nDisposition: manual-action/MDN-sent-manually; displayed\r\n\r\n--b--\r\n")))
	server.Eventually(t, "the receipt is shown", func() bool {
		shown, _ := w.corp.ctl("show", "late@corp.test")
		return strings.Contains(shown, "displayed, says a receipt")
	})
	server.Eventually(t, "the receipt is delivered", func() bool { return w.corp.arrived("receipt") == 1 })
	request := w.far.report("bert", "anna@corp.test would like to recall a message")
	for _, want := range []string{"X-Recall-Policy: pass; reason=cancel-key; domain=corp.test; target=<late@corp.test>",
		"Original-Recipient: rfc822; bert@far.test",
		"DKIM-Signature", "Auto-Submitted: auto-generated", "Original-Message-ID: <late@corp.test>"} {
		if !strings.Contains(request, want) {
			t.Errorf("the request lacks %q:\n%s", want, request)
		}
	}
}

// inbox lists the Message-IDs in a folder of a user at far.test.
func (o *organisation) folder(user, name string) (ids []string) {
	o.t.Helper()
	c := o.login(user)
	defer c.Close()
	if _, err := c.Select(name, &imap.SelectOptions{ReadOnly: true}).Wait(); err != nil {
		return nil
	}
	all, err := c.Fetch(imap.SeqSet{imap.SeqRange{Start: 1}}, &imap.FetchOptions{Envelope: true}).Collect()
	if err != nil { // an empty folder
		return nil
	}
	for _, m := range all {
		ids = append(ids, m.Envelope.MessageID)
	}
	return ids
}

func (o *organisation) login(user string) *imapclient.Client {
	o.t.Helper()
	c, err := imapclient.DialInsecure(o.boxes.IMAP, nil)
	if err == nil {
		err = c.Login(user, server.Password).Wait()
	}
	if err != nil {
		o.t.Fatal(err)
	}
	return c
}

// flag sets a flag on the newest message of a user's inbox.
func (o *organisation) flag(user string, flag imap.Flag) {
	o.t.Helper()
	c := o.login(user)
	defer c.Close()
	box, err := c.Select("INBOX", nil).Wait()
	o.must(err)
	o.must(c.Store(imap.SeqSetNum(box.NumMessages), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{flag}},
		nil).Close())
}

// delivered sends a message of anna's, and waits until it is in all mailboxes.
func (w *world) delivered(id string, to ...string) {
	w.corp.t.Helper()
	w.sent(id, to...)
	for _, r := range to {
		server.Eventually(w.corp.t, id+" is in the inbox of "+r,
			func() bool { return slices.Contains(w.far.folder(r, "INBOX"), id) })
	}
}

func TestALateRecallEmptiesTheInboxUnlessItWasRead(t *testing.T) {
	t.Parallel()
	w := startWorld(t, true)
	w.delivered("price@corp.test", "bert@far.test", "carl@far.test")
	w.delivered("other@corp.test", "bert@far.test")
	w.far.flag("carl@far.test", imap.FlagSeen)
	out, code := w.corp.ctl("recall", "price@corp.test", "--reason", "wrong list")
	if code != 2 || strings.Contains(out, "recalled") {
		t.Errorf("recallctl says %q and ends with %d", out, code)
	}
	w.corp.result("price@corp.test", "bert@far.test", "retracted")
	w.corp.result("price@corp.test", "carl@far.test", "already read")
	if got := w.far.folder("bert@far.test", "INBOX"); !slices.Equal(got, []string{"other@corp.test"}) {
		t.Errorf("bert has %q", got)
	}
	if got := w.far.folder("carl@far.test", "INBOX"); !slices.Equal(got, []string{"price@corp.test"}) {
		t.Errorf("carl has %q", got)
	}
	report := w.corp.report("anna", "What became of your recall: the price list")
	for _, want := range []string{"Final-Recipient: rfc822; bert@far.test\r\nOutcome: retracted",
		"Final-Recipient: rfc822; carl@far.test\r\nOutcome: already-read"} {
		if !strings.Contains(report, want) {
			t.Errorf("the report lacks %q:\n%s", want, report)
		}
	}
	if log, _ := w.far.ctl("log"); !strings.Contains(log, "bert@far.test <price@corp.test>: retracted") {
		t.Errorf("the audit trail of far.test:\n%s", log)
	}
	if log, _ := w.corp.ctl("log"); !strings.Contains(log, "gateway of far.test") ||
		!strings.Contains(log, "recipient 1: retracted") {
		t.Errorf("the audit trail of corp.test:\n%s", log)
	}
	if shown, _ := w.corp.ctl("show", "price@corp.test"); !strings.Contains(shown, "answered") {
		t.Errorf("the timeline:\n%s", shown)
	}
}

// asks recalls a message at corp.test, and waits until its recipient's gateway was asked.
func (w *world) asks(id string, flags ...string) {
	w.corp.t.Helper()
	if out, code := w.corp.ctl(append([]string{"recall", id}, flags...)...); code != 2 {
		w.corp.t.Fatalf("recallctl recall %s: exit %d\n%s", id, code, out)
	}
}

// Anna recalls in Outlook.
func TestALateRecallFindsWhatAFilterMovedAndMissesWhatIsGone(t *testing.T) {
	t.Parallel()
	w := startWorld(t, true)
	w.delivered("moved@corp.test", "bert@far.test", "carl@far.test")
	bert, carl := w.far.login("bert@far.test"), w.far.login("carl@far.test")
	defer bert.Close()
	defer carl.Close()
	w.far.must(bert.Create("Lists", nil).Wait())
	for _, c := range []*imapclient.Client{bert, carl} {
		_, err := c.Select("INBOX", nil).Wait()
		w.far.must(err)
	}
	_, err := bert.Move(imap.SeqSetNum(1), "Lists").Wait()
	w.far.must(err)
	w.far.must(carl.Store(imap.SeqSetNum(1),
		&imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagDeleted}}, nil).Close())
	w.far.must(carl.Expunge().Close())
	r := outlook.Recall{From: "anna@corp.test", To: "bert@far.test, carl@far.test", Subject: "the price list",
		Prefix: "Recall:"}
	w.corp.raw("anna", r.FormA(), "bert@far.test", "carl@far.test")
	w.corp.result("moved@corp.test", "bert@far.test", "retracted")
	w.corp.result("moved@corp.test", "carl@far.test", "unknown")
	if got := w.far.folder("bert@far.test", "Lists"); len(got) > 0 {
		t.Errorf("bert still has %q", got)
	}
}

func TestColleaguesMailboxesAreEmptiedWithoutAMail(t *testing.T) {
	t.Parallel()
	w := startWorld(t, true)
	header := "Subject: the price list\r\nMessage-ID: <own@far.test>\r\n"
	w.far.must(smtp.SendMail(w.far.mta.smtp, smtp.PlainAuth("", "anna", server.Password, "127.0.0.1"), "anna@far.test",
		[]string{"bert@far.test"},
		[]byte("From: anna@far.test\r\nTo: bert@far.test\r\nDate: "+now()+"\r\n"+header+"\r\nbody\r\n")))
	w.far.result("own@far.test", "bert@far.test", "sent")
	server.Eventually(t, "it is delivered", func() bool { return len(w.far.folder("bert@far.test", "INBOX")) == 1 })
	w.far.ctl("recall", "own@far.test")
	w.far.result("own@far.test", "bert@far.test", "retracted")
	if got := w.far.folder("bert@far.test", "INBOX"); len(got) > 0 {
		t.Errorf("bert has %q", got)
	}
}
