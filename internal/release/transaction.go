package release

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/post"
)

// envelope is one message for the port.
type envelope struct {
	client  *holdstore.Hold // whose SMTP client is told by XFORWARD; nil: none
	gateway string          // the MTA's host name, by which we greet
	from    holdstore.Path
	to      []holdstore.Path
	implied []string // parameters of MAIL that the content implies: used where the port offers them
	own     bool     // a mail of the gateway itself
	trace   string   // comes before the content
	demand  string   // comes before it as well, where the port does not take the parameter REQUIRETLS
	content io.Reader
	ready   func() error // asked before DATA and before the final dot; an error ends the attempt unsent
}

// sent is what one transaction brought.
type sent struct {
	reply   string        // of the final dot
	refused map[int]error // recipients that the port refused by themselves
	again   []int         // recipients that must be offered in another transaction: the port takes no more in this one
	taken   int           // recipients that the port accepted before DATA
	most    int           // so many recipients the port takes in one transaction; 0: it did not say
	begun   bool          // the port has answered something about this message
	content bool          // the port wants the content, and may have it
}

// summary says in one line what the port answered: to the message, else to the first recipient that it refused.
func (s sent) summary(err error) string {
	if err == nil && s.reply == "" && len(s.refused) > 0 {
		err = s.refused[slices.Min(slices.Collect(maps.Keys(s.refused)))]
	}
	if err != nil {
		return err.Error()
	}
	return s.reply
}

// step is one command of the envelope.
type step struct {
	line    string
	to      int               // of RCPT: which recipient
	digit   byte              // that the code of a good reply begins with
	taken   func()            // what a good reply means; nil: nothing
	refused func(error) error // what a refusal means; an error ends the transaction
}

// send gives one message to the port. An error concerns all recipients that are not in refused. After any error
// that is not a refusal, and while inData, the connection must be closed: without the final dot the port forgets what
// it has.
func (c *client) send(e envelope) (s sent, err error) {
	s.refused = map[int]error{}
	if err := oneLiner(e.from); err != nil {
		return s, err
	}
	if err := c.missing(e); err != nil {
		return s, err
	}
	steps := append(c.opening(e), c.recipients(e, &s)...)
	none := func() bool { return s.taken == 0 }
	// DATA goes with the commands before it (RFC 2920 section 3.1); a port that takes no recipient refuses it.
	steps = append(steps, step{line: "DATA", digit: '3', refused: func(err error) error {
		if none() {
			return nil
		}
		return err
	}})
	c.open = true
	for len(steps) > 0 {
		n := c.batch(steps)
		if n == len(steps) {
			if len(s.refused) == len(e.to) {
				return s, nil
			}
			if err := e.ready(); err != nil {
				return s, err
			}
		}
		if err := c.talk(steps[:n], &s); err != nil {
			return s, err
		}
		if steps = steps[n:]; len(s.again) > 0 && len(steps) > 0 { // further recipients would be refused as well
			last := len(steps) - 1
			for _, st := range steps[:last] {
				s.again = append(s.again, st.to)
			}
			steps = steps[last:]
		}
	}
	if none() {
		return s, nil
	}
	s.reply, err = c.data(e)
	return s, err
}

// opening are the commands before the first recipient.
func (c *client) opening(e envelope) (steps []step) {
	if c.open {
		steps = append(steps, step{line: "RSET", digit: '2', refused: func(err error) error { return err }})
	}
	for _, line := range c.xforward(e.client) { // the mail matters more than its trace
		steps = append(steps, step{line: line, digit: '2', refused: func(error) error { return nil }})
	}
	// What is refused here is our own port's view of a sender that the gateway has accepted: its config has to be
	// fixed.
	mail := "MAIL FROM:<" + e.from.Address + ">" + c.parameters(e.from.Args) + c.implied(e)
	return append(steps, step{line: mail, digit: '2', refused: asTemporary})
}

// recipients are the commands for the recipients. What one reply means depends on those before it, so s is filled in.
func (c *client) recipients(e envelope, s *sent) (steps []step) {
	for i, r := range e.to {
		if err := oneLiner(r); err != nil {
			s.refused[i] = err
			continue
		}
		taken := func() { s.taken++ }
		refused := func(err error) error {
			switch full, limit := tooMany(err); {
			case full && s.taken > 0:
				s.again = append(s.again, i)
				if limit && s.most == 0 {
					s.most = s.taken
				}
			case full:
				s.refused[i] = asTemporary(err)
			default:
				s.refused[i] = notOurs(err)
			}
			return nil
		}
		line := "RCPT TO:<" + r.Address + ">" + c.parameters(r.Args)
		steps = append(steps, step{line, i, '2', taken, refused})
	}
	return steps
}

// tooMany says whether a reply to RCPT means that the port takes no more recipients in this transaction: 452, or 552,
// which RFC 5321 section 4.5.3.1.10 wants to be taken as temporary here. A mailbox that is full (552 5.2.2) is
// something else. limit says that the reply is about the number of recipients, and not about this one.
func tooMany(err error) (full, limit bool) {
	var r *refusal
	if !errors.As(err, &r) || r.code != 452 && r.code != 552 {
		return false, false
	}
	code, said := post.EnhancedCode(r.Error())
	limit = strings.HasSuffix(code, ".5.3")
	return r.code == 452 || limit || !said, limit
}

// oneLiner refuses an address that would be more than one command.
func oneLiner(p holdstore.Path) error {
	if strings.ContainsAny(p.Address+strings.Join(p.Args, ""), "\r\n\x00") {
		return &refusal{501, "5.1.3 a line break in an address or one of its parameters"}
	}
	return nil
}

// notOurs keeps a port that is not allowed to take our mail (5.7.x: access denied, relaying denied) from bouncing all
// of it: the gateway accepted the recipient when the message was submitted, so the port's config has to be fixed.
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
		_ = c.write(st.line) // an error shows at Flush
	}
	if err := c.out.Flush(); err != nil {
		return err
	}
	var failed error
	for _, st := range steps {
		_, err := c.expect(st.digit, commandTime)
		c.inData = err == nil && st.line == "DATA"
		s.content = c.inData
		var no *refusal
		switch isRefusal := errors.As(err, &no); {
		case err != nil && !isRefusal, isRefusal && no.code == 421:
			return err
		case isRefusal && failed == nil:
			failed = st.refused(err)
		case err == nil && st.taken != nil:
			st.taken()
		}
		s.begun = true
	}
	return failed
}

// data sends the content and returns the port's reply to the final dot.
func (c *client) data(e envelope) (reply string, err error) {
	w := &dotWriter{to: c.out, lineStart: true}
	if _, offered := c.offers["REQUIRETLS"]; !offered {
		io.WriteString(w, e.demand) // an error shows at the end
	}
	io.WriteString(w, e.trace)
	if _, err := io.Copy(w, e.content); err != nil {
		return "", fmt.Errorf("sending stopped before the end, so nothing was sent: %w", err)
	}
	if err := e.ready(); err != nil {
		return "", err
	}
	if err := w.end(); err != nil {
		return "", err
	}
	text, err := c.success(dotTime)
	c.inData = false
	if err == nil {
		c.open = false
	}
	return short("250 " + text), err
}
