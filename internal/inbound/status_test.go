package inbound

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/protocol"
	"github.com/recall-milter/recall-milter/policy"
)

// asker is a gateway that has asked, and writes down whose answers it takes.
type asker struct {
	Retractor
	took []string // From of each status
	err  error
}

func (a *asker) MayAnswerUs(protocol.Status) bool { return true }

func (a *asker) AcceptStatus(_ context.Context, _ protocol.Status, from string) error {
	a.took = append(a.took, from)
	return a.err
}

// trail writes down what becomes of a status.
type trail struct {
	quiet
	verdicts []policy.InboundVerdict
}

func (l *trail) Judged(_ holdstore.Submission, form, _ string, v policy.InboundVerdict) {
	if form == "status" {
		l.verdicts = append(l.verdicts, v)
	}
}

func status(from string) string {
	return "From: " + from + "\r\nTo: anna@corp.test\r\nSubject: status\r\nDate: " + time.Now().Format(time.RFC1123Z) +
		"\r\nMessage-ID: <s@partner.test>\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: multipart/report; report-type=recall-status; boundary=b\r\n\r\n" +
		"--b\r\n\r\ntext\r\n--b\r\nContent-Type: message/recall-status\r\n\r\n" +
		"Request-Id: QZVPT2X8928PUC3WEZFSS8GQ3T\r\nOriginal-Message-ID: <m@corp.test>\r\n\r\n" +
		"Final-Recipient: rfc822; bert@partner.test\r\nOutcome: retracted\r\n\r\n--b--\r\n"
}

// A status counts only from the null sender and from the postmaster of a domain that is authentic: nobody who has only
// a mailbox in that domain can send such a mail, and each of the three by itself could be had.
func TestAStatusCountsFromTheGatewayOnly(t *testing.T) {
	t.Parallel()
	key, verifier, store, _ := surroundings(t)
	const user = "not the postmaster"
	const pass, fail, gateway = policy.InboundPass, policy.InboundFail, "postmaster@partner.test"
	for name, c := range map[string]struct {
		from, envelope, signer string
		add                    string // put on top after it was signed
		result, says           string
	}{
		"from the gateway":             {gateway, "", "partner.test", "", pass, "aligned"},
		"in another case":              {"Gateway <PostMaster@Partner.TEST>", "", "partner.test", "", pass, "aligned"},
		"with an envelope sender":      {gateway, gateway, "partner.test", "", fail, "not <>"},
		"of a user":                    {"bert@partner.test", "", "partner.test", "", fail, user},
		"of a user with such a name":   {"postmaster <bert@partner.test>", "", "partner.test", "", fail, user},
		"of a longer name":             {"xpostmaster@partner.test", "", "partner.test", "", fail, user},
		"with a detail":                {"postmaster+bert@partner.test", "", "partner.test", "", fail, user},
		"of a name that looks like it": {"po\u017ftmaster@partner.test", "", "partner.test", "", fail, user},
		"of two":                       {gateway + ", bert@partner.test", "", "partner.test", "", fail, "address"},
		"with a second From": {"bert@partner.test", "", "partner.test", "From: postmaster@partner.test\r\n", fail,
			"more than one"},
		"signed by nobody":         {gateway, "", "", "", fail, "not authenticated"},
		"signed by another domain": {gateway, "", "evil.test", "", fail, "not authenticated"},
	} {
		a, l := &asker{}, &trail{}
		g := New(Options{AuthservID: "gw.corp.test", Verifier: verifier}, store, a, l)
		text := status(c.from)
		if c.signer != "" {
			text = sign(t, text, c.signer, key, "From", "Subject", "Date", "Content-Type")
		}
		d := g.Judge(t.Context(), mailFrom(c.add+text, c.envelope, "anna@corp.test", "192.0.2.1"))
		if len(l.verdicts) != 1 || l.verdicts[0].Result != c.result || !strings.Contains(l.verdicts[0].Reason, c.says) {
			t.Errorf("%s: %+v", name, l.verdicts)
		}
		if passes := c.result == pass; passes != (len(a.took) == 1) || passes != d.Done ||
			passes == strings.HasPrefix(d.Reply, "550 5.7.1 recall status refused: ") {
			t.Errorf("%s: %d answers are taken, %+v", name, len(a.took), d)
		}
	}
}
