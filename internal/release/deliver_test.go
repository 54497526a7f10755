package release

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/recall-milter/recall-milter/holdstore"
)

// crowded is a port that takes so many recipients in one transaction, and ends a connection after so many errors.
type crowded struct {
	most, errors int
	full         string // what it says to a recipient too many
	unknown      string // addresses that contain it are refused by 550

	mu     sync.Mutex
	open   map[int][]string // recipients taken in the transaction of a session
	failed map[int]int      // errors of a session
	copies map[string]int   // of the content, by recipient
}

func (c *crowded) answer(session int, line string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open, c.failed, c.copies = map[int][]string{}, map[int]int{}, map[string]int{}
	}
	address, isRecipient := strings.CutPrefix(line, "RCPT TO:")
	reply := ""
	switch {
	case strings.HasPrefix(line, "MAIL"):
		c.open[session] = nil
	case line == ".":
		for _, a := range c.open[session] {
			c.copies[a]++
		}
	case line == "DATA" && len(c.open[session]) == 0:
		return "554 5.5.1 no valid recipients"
	case !isRecipient:
	case c.unknown != "" && strings.Contains(address, c.unknown):
		reply = "550 5.1.1 no such user"
	case len(c.open[session]) >= c.most:
		reply = c.full
	default:
		c.open[session] = append(c.open[session], strings.Trim(address, "<>"))
	}
	if reply != "" {
		if c.failed[session]++; c.failed[session] > c.errors {
			return "421 4.7.0 too many errors"
		}
	}
	return reply
}

// addresses makes n recipients; each so many is unknown.
func addresses(n, unknown int) (all []string) {
	for i := range n {
		name := fmt.Sprintf("r%d@x.test", i)
		if unknown > 0 && i%unknown == unknown-1 {
			name = fmt.Sprintf("gone%d@x.test", i)
		}
		all = append(all, name)
	}
	return all
}

func TestManyRecipientsLeaveInAsManyTransactionsAsThePortNeeds(t *testing.T) {
	for name, c := range map[string]struct {
		port         *crowded
		n, unknown   int
		transactions int // with PIPELINING, of the message alone
	}{
		"452": {&crowded{most: 100, errors: 1000, full: "452 4.5.3 too many recipients"}, 350, 0,
			4},
		"452 without an enhanced code": {&crowded{most: 100, errors: 1000, full: "452 too many recipients"}, 350, 0, 4},
		"552 5.5.3": {&crowded{most: 100, errors: 1000, full: "552 5.5.3 too many recipients"}, 350, 0,
			4},
		"552 without an enhanced code":  {&crowded{most: 100, errors: 1000, full: "552 too many recipients"}, 350, 0, 4},
		"a port that closes after that": {&crowded{most: 130, errors: 20, full: "452 4.5.3 too many recipients"}, 350, 0, 3},
		"unknown ones among them": {&crowded{most: 100, errors: 1000, full: "452 4.5.3 too many", unknown: "gone"}, 350,
			7, 4},
		"more unknown ones than errors": {&crowded{most: 1000, errors: 20, full: "452 4.5.3 too many", unknown: "gone"}, 350,
			5, 1},
		"one at a time": {&crowded{most: 1, errors: 1000, full: "452 4.5.3 too many"}, 5, 0, 5},
	} {
		for _, offers := range [][]string{nil, {"PIPELINING"}} {
			t.Run(fmt.Sprint(name, offers), func(t *testing.T) {
				c.port.open = nil
				all := addresses(c.n, c.unknown)
				cl, m, p := claim(all...), &memory{content: message}, startPort(t, c.port.answer, offers...)
				_, log := attempted(t, m, p, cl)
				got, bounces := c.port.copies, strings.Count(log.text(), "bounced")
				for i, r := range cl.Results {
					want, times := holdstore.Sent, 1
					if strings.HasPrefix(all[i], "gone") {
						want, times = holdstore.Failed, 0
					}
					if r.Outcome != want || want == holdstore.Sent && got[all[i]] != times {
						t.Errorf("%s: %s (%s), %d copies", all[i], r.Outcome, r.Detail, got[all[i]])
					}
				}
				if len(m.settled) != 1 || m.settled[0].RetryIn != 0 || bounces != min(c.unknown, 1) {
					t.Errorf("settled %d times, %d bounces\n%s", len(m.settled), bounces, log.text())
				}
				if n := strings.Count(log.text(), "released"); n != c.transactions {
					t.Errorf("%d transactions, want %d", n, c.transactions)
				}
			})
		}
	}
}

// What a port says about one recipient costs the others nothing.
func TestAFullMailboxIsNotAFullTransaction(t *testing.T) {
	for reply, want := range map[string]holdstore.Outcome{
		"452 4.2.2 mailbox full": holdstore.Pending, "452 4.3.1 no space": holdstore.Pending,
		"552 5.2.2 mailbox full": holdstore.Failed, "552 5.5.3 too many": holdstore.Pending,
	} {
		for _, offers := range [][]string{nil, {"PIPELINING"}} {
			p := startPort(t, to("RCPT TO:<r3@", reply), offers...)
			c := claim(addresses(6, 0)...)
			attempted(t, &memory{content: message}, p, c)
			for i, r := range c.Results {
				if i == 3 && r.Outcome != want || i != 3 && r.Outcome != holdstore.Sent {
					t.Errorf("%s, recipient %d: %s (%s)", reply, i, r.Outcome, r.Detail)
				}
			}
		}
	}
}

// Another daemon, or the next, goes on with the others; nobody gets a copy twice.
func TestADaemonThatStopsLeavesTheOthersToTheNext(t *testing.T) {
	port := &crowded{most: 10, errors: 1000, full: "452 4.5.3 too many"}
	p, c, m := startPort(t, port.answer), claim(addresses(25, 0)...), &memory{content: message}
	s, _ := attempted(t, m, p, claim("first@x.test"))
	st := holdstore.Settlement{Results: map[int]holdstore.Result{}}
	s.attempt(t.Context(), c, &st, func() bool { return false })
	if st.RetryIn <= 0 || m.rounds != 1 || len(waiting(c, st.Results)) != 15 {
		t.Errorf("retry in %v, %d rounds, %d wait", st.RetryIn, m.rounds, len(waiting(c, st.Results)))
	}
	st = holdstore.Settlement{Results: map[int]holdstore.Result{}}
	if s.attempt(t.Context(), c, &st, func() bool { return true }); st.RetryIn != 0 || len(waiting(c, st.Results)) != 0 {
		t.Errorf("then: %+v", st)
	}
	for a, n := range port.copies {
		if n != 1 {
			t.Errorf("%s got %d copies", a, n)
		}
	}
}

func TestParametersThatTheContentImplies(t *testing.T) {
	local, offers := holdstore.Client{}, []string{"8BITMIME", "SMTPUTF8"}
	for name, c := range map[string]struct {
		client  holdstore.Client
		args    []string
		content string
		wide    bool
		offers  []string
		want    string
	}{
		"sendmail(1), plain":       {local, nil, message, false, offers, ""},
		"sendmail(1), a wide body": {local, nil, message, true, offers, " BODY=8BITMIME"},
		"sendmail(1), a wide header": {local, nil, "Subject: gr\u00fc\u00dfe\r\n\r\nbody\r\n", true, offers,
			" SMTPUTF8 BODY=8BITMIME"},
		"sendmail(1), a port that can neither": {local, nil, "Subject: gr\u00fc\u00dfe\r\n\r\nbody\r\n", true, nil, ""},
		"a client that said it": {holdstore.Client{Address: "192.0.2.7"}, []string{"BODY=8BITMIME"}, message,
			true, offers, " BODY=8BITMIME"},
		"a client that said 7BIT": {holdstore.Client{Address: "192.0.2.7"}, []string{"BODY=7BIT"}, message,
			true, offers, " BODY=7BIT"},
		"a client that said nothing, as before": {holdstore.Client{Address: "192.0.2.7"}, nil,
			"Subject: gr\u00fc\u00dfe\r\n\r\nbody\r\n", true, offers, ""},
	} {
		cl, p := claim("b@x.test"), startPort(t, nil, c.offers...)
		cl.Client, cl.Sender.Args, cl.EightBit = c.client, c.args, c.wide
		attempted(t, &memory{content: c.content}, p, cl)
		lines, _ := p.got()
		if got := strings.TrimPrefix(lines[1], "MAIL FROM:<a@corp.test>"); outcomes(cl) != "sent" || got != c.want {
			t.Errorf("%s: %s, MAIL FROM%q, want %q", name, outcomes(cl), got, c.want)
		}
	}
}

func TestXVERPTravelsOnToAPortThatOffersIt(t *testing.T) {
	for _, offers := range [][]string{nil, {"XVERP"}} {
		c, p := claim("b@x.test"), startPort(t, nil, offers...)
		c.Sender.Args = []string{"XVERP=+="}
		_, log := attempted(t, &memory{content: message}, p, c)
		lines, _ := p.got()
		said := strings.Contains(log.text(), "XVERP")
		if travels := strings.HasSuffix(strings.Join(lines[:3], " "),
			"XVERP=+= RCPT TO:<b@x.test>"); outcomes(c) != "sent" || travels != (offers != nil) || said == travels {
			t.Errorf("offers %q: %s, %q\n%s", offers, outcomes(c), lines, log.text())
		}
	}
}

// A demand for TLS travels as Postfix's field over a port without the parameter, and is there once.
func TestADemandForTLSTravelsAsAField(t *testing.T) {
	const field = "Require-TLS-ESMTP: yes\r\n"
	for name, c := range map[string]struct {
		content string
		offers  []string
		mail    string // the end of the MAIL command
		fields  int
	}{
		"added":           {message, nil, "<a@corp.test>", 1},
		"there already":   {"require-tls-esmtp:  Yes\r\n" + message, nil, "<a@corp.test>", 0},
		"the port has it": {message, []string{"REQUIRETLS"}, "REQUIRETLS", 0},
	} {
		cl, p := claim("b@x.test"), startPort(t, nil, c.offers...)
		cl.Sender.Args = []string{"REQUIRETLS"}
		attempted(t, &memory{content: c.content}, p, cl)
		lines, data := p.got()
		if outcomes(cl) != "sent" || !strings.HasSuffix(lines[len(lines)-3], c.mail) ||
			strings.Count(data[0], field) != c.fields {
			t.Errorf("%s: %s, %q\n%s", name, outcomes(cl), lines, data)
		}
	}
}
