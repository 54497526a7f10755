package release

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
)

// envelope is one message for the port.
type envelope struct {
	client  *holdstore.Hold // whose SMTP client is told by XFORWARD; nil: none
	from    holdstore.Path
	to      []holdstore.Path
	own     bool   // a mail of the gateway itself
	trace   string // what stands before the content
	content io.Reader
	ready   func() error // asked before DATA and before the final dot; an error ends the attempt unsent
}

// sent is what one transaction brought.
type sent struct {
	reply   string        // of the final dot
	refused map[int]error // recipients that the port refused by themselves
	begun   bool          // the port has answered something about this message
}

// summary says in one line what the port answered: to the message, else to the first recipient that it refused.
func (s sent) summary(err error) string {
	for i := 0; err == nil && s.reply == "" && i < len(s.refused); i++ {
		err = s.refused[i]
	}
	if err != nil {
		return err.Error()
	}
	return s.reply
}

// step is one command of the envelope, and what its refusal means.
type step struct {
	line    string
	refused func(error) error // an error ends the transaction
}

// send gives one message to the port. An error concerns all recipients that are not in refused. After any error
// that is no refusal, and while inData, the connection must be closed: without the final dot the port forgets what it has.
func (c *client) send(e envelope) (s sent, err error) {
	s.refused = map[int]error{}
	if err := oneLiner(e.from); err != nil {
		return s, err
	}
	if err := c.missing(e); err != nil {
		return s, err
	}
	var steps []step
	fatal := func(err error) error { return err }
	if c.open {
		steps = append(steps, step{"RSET", fatal})
	}
	for _, line := range c.xforward(e.client) {
		steps = append(steps, step{line, func(error) error { return nil }}) // the mail matters more than its trace
	}
	// What is refused here is our own port's opinion of a sender that the gateway has accepted: wait for its mend.
	steps = append(steps, step{"MAIL FROM:<" + e.from.Address + ">" + c.parameters(e.from.Args), asTemporary})
	for i, r := range e.to {
		if err := oneLiner(r); err != nil {
			s.refused[i] = err
			continue
		}
		steps = append(steps, step{"RCPT TO:<" + r.Address + ">" + c.parameters(r.Args), func(err error) error {
			s.refused[i] = notOurs(err)
			return nil
		}})
	}
	// DATA goes with the commands before it (RFC 2920 section 3.1); a port that takes no recipient refuses it.
	none := func() bool { return len(s.refused) == len(e.to) }
	steps = append(steps, step{"DATA", func(err error) error {
		if none() {
			return nil
		}
		return err
	}})
	c.open = true
	for len(steps) > 0 {
		n := c.batch(steps)
		if n == len(steps) {
			if none() {
				return s, nil
			}
			if err := e.ready(); err != nil {
				return s, err
			}
		}
		if err := c.talk(steps[:n], &s); err != nil {
			return s, err
		}
		steps = steps[n:]
	}
	if none() {
		return s, nil
	}
	s.reply, err = c.data(e)
	return s, err
}

// oneLiner refuses an address that would be more than one command.
func oneLiner(p holdstore.Path) error {
	if strings.ContainsAny(p.Address+strings.Join(p.Args, ""), "\r\n\x00") {
		return &refusal{501, "5.1.3 a line break in an address or one of its parameters"}
	}
	return nil
}

// notOurs keeps a port that is not allowed to take our mail (5.7.x: access denied, relaying denied) from bouncing all
// of it: the gateway accepted the recipient when the message was submitted, so the port's config is to be mended.
func notOurs(err error) error {
	var r *refusal
	if errors.As(err, &r) && r.code >= 500 && strings.HasPrefix(r.text, "5.7.") {
		return asTemporary(err)
	}
	return err
}

// batch says how many commands go out before their replies are read.
func (c *client) batch(steps []step) int {
	if _, ok := c.offers["PIPELINING"]; !ok {
		return 1
	}
	size, n := 0, 0
	for n < len(steps) && n < batchLines && (n == 0 || size+len(steps[n].line) < batchBytes) {
		size += len(steps[n].line)
		n++
	}
	return n
}

// talk sends a batch and reads all its replies.
func (c *client) talk(steps []step, s *sent) error {
	for _, st := range steps {
		c.write(st.line) // an error shows at Flush
	}
	if err := c.out.Flush(); err != nil {
		return err
	}
	var failed error
	for _, st := range steps {
		_, err := c.reply(commandTime)
		c.inData = err == nil && st.line == "DATA"
		var no *refusal
		switch isRefusal := errors.As(err, &no); {
		case err != nil && !isRefusal:
			return err
		case isRefusal && no.code == 421:
			return err
		case isRefusal && failed == nil:
			failed = st.refused(err)
		}
		s.begun = true
	}
	return failed
}

// data sends the content and returns the port's reply to the final dot.
func (c *client) data(e envelope) (reply string, err error) {
	w := &dotWriter{to: c.out, lineStart: true}
	io.WriteString(w, e.trace) // an error shows at the end
	if _, err := io.Copy(w, e.content); err != nil {
		return "", fmt.Errorf("sending stopped before the end, so nothing was sent: %w", err)
	}
	if err := e.ready(); err != nil {
		return "", err
	}
	if err := w.end(); err != nil {
		return "", err
	}
	text, err := c.reply(dotTime)
	c.inData = false
	if err == nil {
		c.open = false
	}
	return short("250 " + text), err
}

// parameters that the port must offer, and what they mean when it does not.
var needs = map[string]string{"BODY": "8BITMIME", "SMTPUTF8": "SMTPUTF8", "RET": "DSN", "ENVID": "DSN",
	"NOTIFY": "DSN", "ORCPT": "DSN", "REQUIRETLS": "REQUIRETLS"}

// parameters returns the ESMTP arguments that the port takes, verbatim. SIZE is the client's guess and AUTH is its
// login's: neither is for the port.
func (c *client) parameters(args []string) string {
	var b strings.Builder
	for _, arg := range args {
		name, _, _ := strings.Cut(strings.ToUpper(arg), "=")
		if _, offered := c.offers[needs[name]]; offered && needs[name] != "" {
			b.WriteString(" " + arg)
		}
	}
	return b.String()
}

// missing says what the message can't do without (RFC 6531 section 3.5, RFC 8689 section 4.2.1). A port without DSN or
// 8BITMIME gets the mail all the same.
func (c *client) missing(e envelope) error {
	for _, arg := range e.from.Args {
		name := strings.ToUpper(arg)
		if _, offered := c.offers[name]; !offered && (name == "SMTPUTF8" || name == "REQUIRETLS") {
			return &refusal{450, "4.6.7 the re-injection port does not offer " + name + ", which the message needs"}
		}
	}
	return nil
}
