package test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/smtp"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	gomilter "github.com/emersion/go-milter"
	"github.com/recall-milter/recall-milter/test/server"
)

// A site is a Postfix as somebody really has it. It takes the same messages twice: as it was, and after "recallctl
// setup --apply", through a hold. What arrives and what stays in the queue must be the same.
type site struct {
	name string
	// Lines of main.cf and master.cf. {submission} and {back} are ports for services of the site, {filter} is the
	// content filter, which hands mail to {back}, {before} the milter before ours, {dir} a folder with files.
	main, master string
	edit         func(sender string, m *gomilter.Modifier) // of the milter before ours
	asks         gomilter.OptAction                        // for which that asks; 0: for what edit needs
	// lines of our [release], with {port2} for a second port
	config   string
	messages []letter       // besides the usual ones
	byHand   func(p *place) // what the administrator does besides "setup --apply"
	around   func(p *place) // starts what else the site has
	// starts programs next to Postfix: their places, like {dir}
	programs func(t *testing.T, back string) map[string]string
	// the finding of doctor that says why it can't be the same; "": it is
	differs string
	warns   string   // a finding of doctor, although it is the same
	unheld  []string // letters that are not ours to hold: from outside, or from nobody
	held    []string // letters that must wait, as nothing shows that any of the others does
	short   bool     // also a part of "make test"
}

// letter is one message, and how it is submitted.
type letter struct {
	name     string
	from     string   // a@corp.test; "<>": nobody
	to       []string // b@x.test
	header   string   // lines, besides the usual ones
	subject  string
	body     string
	by       string   // "", "submission", "sendmail"
	args     []string // of sendmail
	mailArgs string
	rcptArgs string
}

// usual are messages that every site takes.
var usual = []letter{
	{name: "text"},
	{name: "many", to: []string{"b@x.test", "c@x.test", "d@y.test", "e@corp.test"}},
	{name: "parameters", mailArgs: " RET=HDRS ENVID=QQ+2B1 BODY=8BITMIME",
		rcptArgs: " NOTIFY=FAILURE ORCPT=rfc822;o@x.test", body: "gr\xfc\xdfe\r\n"},
	{name: "program", from: "cron@corp.test", by: "sendmail"},
	{name: "short address", header: "Cc: colleague\r\n", from: "a@corp.test", to: []string{"b@x.test", "colleague"}},
}

func (l letter) id() string { return strings.ReplaceAll(l.name, " ", "-") + "@corp.test" }

func (l letter) text() string {
	return "Received: from before.test by relay.corp.test with ESMTP id 1; Tue, 24 Nov 2026 09:00:00 +0000\r\nFrom: A " +
		"<a@corp.test>\r\nTo: b@x.test\r\nSubject: " + l.subject +
		"\r\nMessage-ID: <" + l.id() + ">\r\nDate: Tue, 24 Nov 2026 09:00:00 +0000\r\n" + l.header + "\r\n" + l.body +
		"the letter " + l.name + "\r\n"
}

// outcome is what became of the messages of a site: for each, what its client heard and each copy that arrived or
// stays.
type outcome map[string][]string

// and has all names of both.
func (o outcome) and(other outcome) outcome {
	both := maps.Clone(o)
	maps.Copy(both, other)
	return both
}

func TestAHeldMessageArrivesAsIfItHadNeverBeenHeld(t *testing.T) {
	t.Parallel()
	for _, s := range slices.Concat(sites, filterSites, siblingSites, deciderSites) {
		if !s.short && os.Getenv("COMPARE") == "" {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.compare(t)
		})
	}
}

// place is a running site.
type place struct {
	*gateway
	site       *site
	submission string
	second     string // another one
	before     string // the milter before ours
	port2      string // a port that is free
	instance   string // an instance that relays to this one
	letters    []letter
}

func (s *site) compare(t *testing.T) {
	p := s.start(t)
	plain := p.deliver()
	if text := plain["text"]; len(text) == 0 || strings.HasPrefix(text[0], "refused") {
		t.Errorf("the site takes no mail: %v", text)
	}
	p.postfix.Kill()
	if out, code := p.ctl("setup", "--postfix", p.postfix.Conf(), "--apply", "--user", "root"); code != 0 {
		t.Fatalf("setup: exit %d: %s", code, out)
	}
	if s.byHand != nil {
		s.byHand(p)
	}
	p.postfix.Start()
	found, _ := p.doctor("--user", "root")
	held := p.deliver()
	p.heldOnce()
	same := true
	for _, name := range slices.Sorted(maps.Keys(plain.and(held))) {
		if !slices.Equal(plain[name], held[name]) {
			same = false
			if s.differs == "" {
				t.Errorf("%s: without the milter\n  %s\nheld\n  %s", name, strings.Join(plain[name], "\n  "),
					strings.Join(held[name], "\n  "))
			}
		}
	}
	if named := slices.Contains(found, s.differs); s.differs != "" && (same || !named) {
		t.Errorf("same: %v, doctor found %v, want %s", same, found, s.differs)
	}
	for _, check := range found {
		if s.differs == "" && strings.HasPrefix(check, "postfix.") && check != "postfix.size" && check != s.warns {
			t.Errorf("doctor found %s", check)
		}
	}
}

// start starts the site as it was before anybody heard of us.
func (s *site) start(t *testing.T) *place {
	p := &place{site: s, submission: server.FreeAddr(t), second: server.FreeAddr(t),
		letters: append(slices.Clone(usual), s.messages...)}
	p.port2 = server.FreeAddr(t)
	back, dir := server.FreeAddr(t), t.TempDir()
	var started []string
	if s.programs != nil {
		for name, address := range s.programs(t, back) {
			started = append(started, name, address)
		}
	}
	filter := server.StartSinkFor(t, func(d server.Delivery) { handOn(t, back, d) })
	if s.edit != nil {
		p.before = "inet:" + server.StartEditor(t, cmp.Or(s.asks, editing), s.edit)
	}
	places := strings.NewReplacer(append(started, "{submission}", p.submission, "{second}", p.second, "{port3}",
		server.FreeAddr(t), "{back}", back, "{filter}", bracketed(filter.Addr),
		"{before}", p.before, "{dir}", dir, "{port2}", p.port2)...)
	var postfix *server.Postfix
	p.gateway = startGatewayWith(t, "1s", func(_, nextHop string) mta {
		postfix = server.StartSite(t, nextHop, places.Replace(s.main), places.Replace(s.master))
		m := ofPostfix(postfix)
		m.reinject = server.FreeAddr(t)
		return m
	})
	p.postfix = postfix
	p.change("retry = {", places.Replace(s.config)+"cancel_lock = false\nreceived = \"full\"\nretry = {")
	p.restartDaemon()
	if s.around != nil {
		s.around(p)
	}
	return p
}

// editing is what a milter that changes envelopes asks for.
const editing = gomilter.OptAddHeader | gomilter.OptAddRcpt | gomilter.OptRemoveRcpt |
	gomilter.OptChangeFrom | gomilter.OptQuarantine

// postconf changes the site's configuration as an administrator does.
func (p *place) postconf(args ...string) {
	p.t.Helper()
	if out, err := exec.Command(server.Program(p.t, "postconf"),
		append([]string{"-c", p.postfix.Conf()}, args...)...).CombinedOutput(); err != nil {
		p.t.Fatalf("postconf %v: %v: %s", args, err, out)
	}
}

// postconfValue is what main.cf says.
func (p *place) postconfValue(name string) string {
	p.t.Helper()
	out, err := exec.Command(server.Program(p.t, "postconf"), "-c", p.postfix.Conf(), "-h", name).Output()
	p.must(err)
	return strings.TrimSpace(string(out))
}

// heldOnce looks whether each letter was held once, if it leaves: nothing that was released is held again.
func (p *place) heldOnce() {
	log, err := os.ReadFile(p.log)
	p.must(err)
	held := false
	for _, l := range p.letters {
		n := len(regexp.MustCompile(`hold: .*message-id=<`+l.id()+`>`).FindAllIndex(log, -1))
		held = held || n > 0
		most := 1
		if slices.Contains(l.args, "-XV") {
			most = len(l.to) // Postfix makes a message for each
		}
		if n > most || n > 0 && slices.Contains(p.site.unheld, l.name) {
			p.t.Errorf("%s was held %d times", l.name, n)
		}
		if n == 0 && slices.Contains(p.site.held, l.name) {
			p.t.Errorf("%s was not held", l.name)
		}
	}
	if !held {
		p.t.Error("nothing was held")
	}
}

func bracketed(addr string) string {
	host, port, _ := strings.Cut(addr, ":")
	return "[" + host + "]:" + port
}

// handOn is what a content filter does: it marks a message and hands it to the port behind it.
func handOn(t *testing.T, back string, d server.Delivery) {
	c, err := smtp.Dial(back)
	if err == nil {
		defer c.Close()
		err = c.Mail(address(d.Mail))
	}
	for _, r := range d.Rcpt {
		if err == nil {
			err = c.Rcpt(address(r))
		}
	}
	if err == nil {
		err = dot(c, append([]byte("X-Scanned: yes\r\n"), d.Data...))
	}
	if err != nil {
		t.Errorf("the filter can't hand on to %s: %v", back, err)
	}
}

func address(argument string) string {
	inner, _, _ := strings.Cut(strings.TrimPrefix(argument, "<"), ">")
	return inner
}

func dot(c *smtp.Client, data []byte) error {
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return err
	}
	return w.Close()
}

// deliver submits all letters, waits until nothing is on its way, and says what became of each.
func (p *place) deliver() outcome {
	p.t.Helper()
	o, seen := outcome{}, len(p.sink.Got())
	stays := p.stays()
	for _, l := range p.letters {
		if err := p.submit(l); err != nil {
			o[l.name] = append(o[l.name], "refused: "+err.Error())
		}
	}
	server.Eventually(p.t, "nothing is on its way", p.atRest)
	for _, d := range p.sink.Got()[seen:] {
		for _, r := range d.Rcpt {
			name := p.named(d.Data)
			o[name] = append(o[name], "arrived: "+withoutSize(d.Mail)+" to "+r+"\n"+p.comparable(d))
		}
	}
	for id, text := range p.stays() {
		if stays[id] == "" {
			name := p.named([]byte(p.queued(id)))
			o[name] = append(o[name], "stays: "+text)
		}
	}
	for name := range o {
		slices.Sort(o[name])
	}
	return o
}

func (p *place) submit(l letter) error {
	from, to := l.from, l.to
	switch from {
	case "":
		from = "a@corp.test"
	case "<>":
		from = ""
	}
	if to == nil {
		to = []string{"b@x.test"}
	}
	if l.by == "sendmail" {
		c := p.mta.command(slices.Concat([]string{"-i", "-f", from}, l.args, []string{"--"}, to)...)
		c.Stdin = strings.NewReader(strings.ReplaceAll(l.text(), "\r\n", "\n"))
		return c.Run()
	}
	port := p.mta.smtp
	switch l.by {
	case "submission":
		port = p.submission
	case "second":
		port = p.second
	case "instance":
		port = p.instance
	}
	var c *smtp.Client
	p.submitted(l.name, func() (err error) {
		c, err = smtp.Dial(port)
		return err
	})
	defer c.Close()
	if err := c.Hello("laptop.inside.test"); err != nil {
		return err
	}
	var lines []string
	if l.by == "outside" {
		lines = []string{"XCLIENT ADDR=192.0.2.7 NAME=mail.other.test", "EHLO mail.other.test"}
	}
	lines = append(lines, "MAIL FROM:<"+from+">"+l.mailArgs)
	for _, r := range to {
		lines = append(lines, "RCPT TO:<"+r+">"+l.rcptArgs)
	}
	for _, line := range lines {
		if err := c.Text.PrintfLine("%s", line); err != nil {
			return err
		}
		if _, _, err := c.Text.ReadResponse(2); err != nil {
			return err
		}
	}
	return dot(c, []byte(l.text()))
}

// atRest says whether nothing is held by us, and nothing is in Postfix's queues but what stays there. It looks twice: a
// message that went from the hold to Postfix between the two questions of one look is seen by the other.
func (p *place) atRest() bool {
	for range 2 {
		out, _ := p.ctl("--json", "list")
		if strings.TrimSpace(out) != "" || moving.MatchString(p.postqueue()) {
			return false
		}
	}
	return true
}

var moving = regexp.MustCompile(`"queue_name": "(maildrop|incoming|active|deferred)"`)

func (p *place) postqueue() string {
	out, err := exec.Command(server.Program(p.t, "postqueue"), "-c", p.postfix.Conf(), "-j").Output()
	if err != nil {
		p.t.Fatalf("postqueue: %v", err)
	}
	return string(out)
}

// stays is what the postmaster has to look at, by queue ID.
func (p *place) stays() map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(p.postqueue()) {
		var m struct {
			ID         string `json:"queue_id"`
			Queue      string `json:"queue_name"`
			Sender     string
			Recipients []struct{ Address string }
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			p.t.Fatalf("postqueue: %q: %v", line, err)
		}
		all[m.ID] = fmt.Sprint("in ", m.Queue, " from ", m.Sender, " to ", m.Recipients)
	}
	return all
}

func (p *place) queued(id string) string {
	out, _ := exec.Command(server.Program(p.t, "postcat"), "-c", p.postfix.Conf(), "-qhb", id).Output()
	return string(out)
}

var letterName = regexp.MustCompile(`(?m)^the letter (.*?)\r?$`)

// named returns the name of the letter that a message has.
func (p *place) named(data []byte) string {
	if m := letterName.FindSubmatch(data); m != nil {
		return string(m[1])
	}
	return "another message"
}

var received = regexp.MustCompile(`(?mi)^Received:.*\r?\n(?:[ \t].*\r?\n)*`)

var signature = regexp.MustCompile(`(?mi)^DKIM-Signature:.*\r?\n(?:[ \t].*\r?\n)*`)

// reported are the fields of a bounce or report that say what became of which message (RFC 3464).
var reported = regexp.MustCompile(`(?mi)^(Subject|From|To|Reporting-MTA|Original-Envelope-Id|Original-Recipient|` +
	`Final-Recipient|Action|Status|Remote-MTA|Diagnostic-Code|Content-Type): .*(?:\r?\n[ \t].*)*`)

// ofOneReport are the parts of it that no other report has.
var ofOneReport = regexp.MustCompile(`(?s)\s+boundary="[^"]*"`)

// comparable is a message without what differs each time. Of a report, it is what the report says of a message.
func (p *place) comparable(d server.Delivery) string {
	if !bytes.Contains(d.Data, []byte("multipart/report")) {
		return p.withoutTrace(d.Data)
	}
	fields := bytes.Join(reported.FindAll(d.Data, -1), []byte("\n"))
	return string(ofOneReport.ReplaceAll(fields, nil))
}

// withoutTrace is a message without the Received fields of this gateway, and a word on whether they name its client.
func (p *place) withoutTrace(data []byte) string {
	header, body, _ := bytes.Cut(data, []byte("\r\n\r\n"))
	header = append(header, "\r\n"...)
	client := false
	rest := received.ReplaceAllFunc(header, func(field []byte) []byte {
		if bytes.Contains(field, []byte("amavis")) {
			return []byte("Received: of amavis\r\n")
		}
		if !bytes.Contains(field, []byte("by gw.corp.test")) {
			return field
		}
		client = client || bytes.Contains(field, []byte("laptop.inside.test"))
		return nil
	})
	rest = signature.ReplaceAll(rest, []byte("DKIM-Signature: of some moment\r\n"))
	return fmt.Sprintf("%s\n%s(trace names the client: %v)", rest, body, client)
}
