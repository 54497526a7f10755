package test

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// organisation is a whole site: a gateway with a DKIM signer, users who log in, and mailboxes.
type organisation struct {
	*gateway
	domain string
	port   *server.Proxy // where mail from the world comes in
}

// world is two organisations that know each other by DNS only.
type world struct {
	corp, far *organisation
	dns       *server.DNS
}

func startWorld(t *testing.T, farSettings string) *world {
	t.Helper()
	w := &world{dns: server.StartDNS(t)}
	corpPort, farPort := server.StartProxy(t), server.StartProxy(t)
	w.corp = w.organisation(t, "corp.test", corpPort, "far.test", farPort)
	w.far = w.organisation(t, "far.test", farPort, "corp.test", corpPort)
	w.corp.open(w.dns, "[recall]\naddresses = [\"recall@corp.test\"]\nanswer_within = \"20s\"\n")
	w.far.open(w.dns, farSettings)
	return w
}

// organisation starts the servers of a site whose mail to a peer goes to a port.
func (w *world) organisation(t *testing.T, domain string, port *server.Proxy, peer string, peerPort *server.Proxy) *organisation {
	t.Helper()
	signer := server.StartOpenDKIM(t, domain)
	w.dns.Add(t, "s1._domainkey."+domain+`. TXT "`+signer.Record+`"`)
	w.dns.Add(t, "_dmarc."+domain+`. TXT "v=DMARC1; p=reject"`)
	var postfix *server.Postfix
	g := startGatewayWith(t, "1s", func(milter, nextHop string) mta {
		host, number, _ := net.SplitHostPort(peerPort.Addr)
		postfix = server.StartPostfix(t, milter, nextHop, "myhostname = gw."+domain,
			"smtpd_milters = inet:"+signer.Milter+", inet:"+milter, "own_milters = inet:"+signer.Milter,
			fmt.Sprintf("transport_maps = inline:{ {%s = smtp:[%s]:%s} }", peer, host, number),
			server.StartLogins(t, "anna", "bert"))
		return mta{postfix.SMTP, postfix.Reinject, postfix.Log}
	})
	g.postfix = postfix
	return &organisation{g, domain, port}
}

// open configures the gateway and lets mail of the world in.
func (o *organisation) open(d *server.DNS, settings string) {
	o.t.Helper()
	o.change("[release]\n", "[release]\nown_smtp = \""+o.postfix.Own+"\"\n")
	o.configure(fmt.Sprintf("[outbound]\nnetworks = []\ndaemon_names = []\n[inbound]\nauthserv_id = \"gw.%s\"\ndns = %q\n%s", o.domain, d.Addr, settings))
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
	w := startWorld(t, "")
	w.sent("late@corp.test", "bert@far.test")
	server.Eventually(t, "it is delivered", func() bool { return w.far.arrived("late@corp.test") == 1 })
	w.corp.command("anna", "Subject: RECALL <late@corp.test>\r\n", "")
	if answer := w.corp.report("anna", "Too late to recall: the price list"); !strings.Contains(answer, "were asked to take it back") {
		t.Errorf("the first answer:\n%s", answer)
	}
	w.corp.result("late@corp.test", "bert@far.test", "refused")
	report := w.corp.report("anna", "What became of your recall: the price list")
	if !strings.Contains(report, "this gateway has no way into the mailbox") || !strings.Contains(report, "Outcome: refused") {
		t.Errorf("the report:\n%s", report)
	}
	request := w.far.report("bert", "anna@corp.test would like to recall a message")
	for _, want := range []string{"X-Recall-Policy: pass; reason=cancel-key; domain=corp.test; target=<late@corp.test>", "Original-Recipient: rfc822; bert@far.test",
		"DKIM-Signature", "Auto-Submitted: auto-generated", "Original-Message-ID: <late@corp.test>"} {
		if !strings.Contains(request, want) {
			t.Errorf("the request lacks %q:\n%s", want, request)
		}
	}
}
