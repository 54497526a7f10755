package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// An unfit site has settings with which a held message can't arrive as it would without the hold. Doctor names the
// setting, and after its fix was typed the message arrives as it should.
type unfit struct {
	site   site
	check  string         // what doctor names
	level  string         // and how badly
	byHand func(p *place) // writes what of the fix is not a command; nil: all of it is one
}

// handMade is a re-injection port that was written by hand, without what "recallctl setup" finds in the site.
const handMade = ` inet n - n - - smtpd
  -o syslog_name=postfix/reinject
  -o smtpd_milters=
  -o receive_override_options=no_milters,no_header_body_checks
  -o smtpd_authorized_xforward_hosts=127.0.0.0/8
  -o mynetworks=127.0.0.0/8
  -o smtpd_client_restrictions=permit_mynetworks,reject
  -o smtpd_relay_restrictions=permit_mynetworks,reject
  -o smtpd_helo_restrictions=
  -o smtpd_sender_restrictions=
  -o smtpd_recipient_restrictions=
  -o smtpd_data_restrictions=
  -o smtpd_end_of_data_restrictions=
  -o smtpd_tls_security_level=none
`

var unfitSites = []*unfit{
	{check: "postfix.actions", level: "error",
		site: site{name: "HOLD of header_checks, an access table, milter_header_checks",
			edit: spamMilter,
			main: `smtpd_milters = {before}
header_checks = regexp:{ {/^Subject: hold/ HOLD} }
milter_header_checks = regexp:{ {/^X-Spam: Yes/ HOLD} }
smtpd_sender_restrictions = check_sender_access inline:{ {suspect@corp.test = HOLD} }
`, messages: []letter{{name: "hold", subject: "hold"}, {name: "spam", from: "spammer@corp.test"},
				{name: "suspect", from: "suspect@corp.test"}}}},
	{check: "postfix.envelope", level: "warning",
		site: site{name: "a milter changes envelopes", edit: envelopes, asks: 0x1ff,
			main: "smtpd_milters = {before}\n", messages: enveloped}},
	{check: "postfix.service", level: "error", byHand: func(p *place) {
		p.change("cancel_lock", "smtp_by_daemon = { SUBMISSION = \""+p.port2+"\" }\ncancel_lock")
	}, site: site{name: "a content filter of submission", master: filtering + submitting +
		"  -o content_filter=scan:{filter}\n",
		messages: []letter{{name: "user", by: "submission"}}}},
	{check: "postfix.twice", level: "error", site: site{name: "a command filter that adds NOTIFY",
		main:     "smtpd_command_filter = regexp:{ {/^(RCPT TO:<.*>.*)/ $$1 NOTIFY=NEVER} }\n",
		messages: []letter{{name: "one"}}}},
	{check: "postfix.programs", level: "note", byHand: func(p *place) { p.withProgramsPort() },
		site: site{name: "sendmail -v", messages: []letter{{name: "verbose", by: "sendmail", args: []string{"-v"}}}}},
}

func TestDoctorNamesWhatMakesAHeldMessageDiffer(t *testing.T) {
	t.Parallel()
	for _, c := range unfitSites {
		t.Run(c.site.name, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}

func (c *unfit) run(t *testing.T) {
	p := c.site.start(t)
	p.letters = c.site.messages
	plain := p.deliver()
	p.handMade()
	if held := p.deliver(); same(plain, held) {
		t.Errorf("nothing differs: %v", held)
	}
	found := p.found(c.check)
	if found.Level != c.level {
		t.Fatalf("doctor finds %+v", found)
	}
	c.fixed(p, found.Fix)
	server.Eventually(t, "doctor finds nothing any more", func() bool { return p.found(c.check).Level == "" })
	// A process of before the reload may take one more message by its old settings.
	p.postfix.Kill()
	p.postfix.Start()
	if held := p.deliver(); !same(plain, held) {
		t.Errorf("without the milter\n%v\nheld\n%v", plain, held)
	}
}

// fixed pastes the commands of a fix, and writes what it says is to be written by hand.
func (c *unfit) fixed(p *place, fix string) {
	written := c.byHand == nil
	for _, piece := range regexp.MustCompile(`: |, then:? `).Split(fix, -1) {
		restart, isRestart := strings.CutPrefix(piece, "systemctl restart recall-milter && ")
		switch {
		case strings.HasPrefix(piece, "write "):
			c.byHand(p)
			written = true
		case isRestart:
			p.restartDaemon()
			p.pastes(restart)
		case regexp.MustCompile(`^(postconf|recallctl) `).MatchString(piece):
			p.pastes(piece)
		}
	}
	if !written {
		c.byHand(p)
	}
}

func (p *place) pastes(command string) {
	p.t.Helper()
	sh := exec.Command("sh", "-c", command)
	sh.Env = append(os.Environ(), "PATH="+programs+":"+os.Getenv("PATH"))
	if out, err := sh.CombinedOutput(); err != nil {
		p.t.Errorf("%s: %v: %s", command, err, out)
	}
}

// same says whether the letters of a site arrive alike. Of what Postfix itself writes about them, which has dates and
// queue IDs, only the envelopes are compared.
func same(plain, held outcome) bool {
	envelopes := func(o outcome) (all []string) {
		for _, message := range o["another message"] {
			envelope, _, _ := strings.Cut(message, "\n")
			all = append(all, envelope)
		}
		return all
	}
	for name := range plain {
		if name != "another message" && !slices.Equal(plain[name], held[name]) {
			return false
		}
	}
	return len(plain) == len(held) && slices.Equal(envelopes(plain), envelopes(held))
}

// handMade gives Postfix the milter and a re-injection port without "recallctl setup".
func (p *place) handMade() {
	p.t.Helper()
	p.postfix.Kill()
	milters := strings.TrimPrefix(p.postconfValue("smtpd_milters")+", inet:"+p.milter, ", ")
	p.postconf("-e", "smtpd_milters="+milters, "non_smtpd_milters=$smtpd_milters", "in_flow_delay=0",
		"milter_default_action=tempfail")
	name := filepath.Join(p.postfix.Conf(), "master.cf")
	text, err := os.ReadFile(name)
	p.must(err)
	p.must(os.WriteFile(name, append(text, p.mta.reinject+handMade...), 0o644))
	server.Aged(p.t, name)
	p.postfix.Start()
}
