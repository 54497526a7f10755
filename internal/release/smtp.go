package release

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

// Time-outs of RFC 5321 section 4.5.3.2; the re-injection port is near, so one value does for all but the final dot.
const (
	commandTime = 2 * time.Minute
	dotTime     = 5 * time.Minute
)

// refusal is a reply that is no success.
type refusal struct {
	code int
	text string
}

func (r *refusal) Error() string { return fmt.Sprintf("%d %s", r.code, r.text) }

// permanent says whether trying again is in vain.
func permanent(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.code >= 500
}

// client is one connection to the re-injection port.
type client struct {
	net.Conn
	text   *textproto.Conn
	offers map[string]bool
}

func dial(address, hello string) (*client, error) {
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	nc, err := net.DialTimeout(network, address, 30*time.Second)
	if err != nil {
		return nil, err
	}
	c := &client{Conn: nc, offers: map[string]bool{}}
	// A reply is bounded by its time; more than 64 KiB of one is nonsense and ends the connection.
	c.text = textproto.NewConn(struct {
		io.Reader
		io.Writer
		io.Closer
	}{nc, nc, nc})
	if err := c.hello(hello); err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

func (c *client) hello(name string) error {
	c.SetDeadline(time.Now().Add(commandTime))
	if err := c.expect(220); err != nil {
		return err
	}
	if err := c.text.PrintfLine("EHLO %s", name); err != nil {
		return err
	}
	_, lines, err := c.text.ReadResponse(250)
	if err != nil {
		return err
	}
	for _, line := range strings.Split(lines, "\n") {
		word, _, _ := strings.Cut(line, " ")
		c.offers[strings.ToUpper(word)] = true
	}
	return nil
}

// expect reads a reply of the class of code.
func (c *client) expect(code int) error {
	got, text, err := c.text.ReadResponse(code / 100)
	return asRefusal(got, text, err)
}

func asRefusal(code int, text string, err error) error {
	var e *textproto.Error
	if errors.As(err, &e) {
		return &refusal{code, strings.ReplaceAll(text, "\n", " ")}
	}
	return err
}

func (c *client) command(line string) error {
	c.SetDeadline(time.Now().Add(commandTime))
	if strings.ContainsAny(line, "\r\n") {
		return &refusal{501, "line break in an envelope address"}
	}
	if err := c.text.PrintfLine("%s", line); err != nil {
		return err
	}
	return c.expect(250)
}

// parameters returns the ESMTP arguments that the port takes, verbatim. SIZE is the client's guess and AUTH is its
// login's: neither is for the port.
func (c *client) parameters(args []string) string {
	needs := map[string]string{"BODY": "8BITMIME", "SMTPUTF8": "SMTPUTF8", "RET": "DSN", "ENVID": "DSN",
		"NOTIFY": "DSN", "ORCPT": "DSN", "REQUIRETLS": "REQUIRETLS"}
	var b strings.Builder
	for _, arg := range args {
		name, _, _ := strings.Cut(strings.ToUpper(arg), "=")
		if offer := needs[name]; offer != "" && c.offers[offer] {
			b.WriteString(" " + arg)
		}
	}
	return b.String()
}

// envelope names the sender and the recipients; refused are those of recipients that the port refuses.
func (c *client) envelope(sender holdstore.Path, recipients []holdstore.Path) (refused map[int]error, err error) {
	if err := c.command("MAIL FROM:<" + sender.Address + ">" + c.parameters(sender.Args)); err != nil {
		return nil, err
	}
	refused = map[int]error{}
	for i, r := range recipients {
		err := c.command("RCPT TO:<" + r.Address + ">" + c.parameters(r.Args))
		var no *refusal
		switch {
		case errors.As(err, &no):
			refused[i] = err
		case err != nil:
			return nil, err
		}
	}
	return refused, nil
}

// data sends the content and returns the port's reply to the final dot. When content can't be read to its end the
// connection must be closed: without the final dot the port forgets what it has.
func (c *client) data(content io.Reader) (reply string, err error) {
	c.SetDeadline(time.Now().Add(commandTime))
	if err := c.text.PrintfLine("DATA"); err != nil {
		return "", err
	}
	if err := c.expect(354); err != nil {
		return "", err
	}
	w := &dotWriter{to: bufio.NewWriterSize(deadlineWriter{c}, 64<<10), lineStart: true}
	if _, err := io.Copy(w, content); err != nil {
		return "", fmt.Errorf("sending stopped: %w", err)
	}
	if err := w.end(); err != nil {
		return "", err
	}
	c.SetDeadline(time.Now().Add(dotTime))
	code, text, err := c.text.ReadResponse(2)
	return fmt.Sprintf("%d %s", code, strings.ReplaceAll(text, "\n", " ")), asRefusal(code, text, err)
}

// deadlineWriter bounds each write: a port that stops reading must not hold a worker for ever.
type deadlineWriter struct{ c net.Conn }

func (d deadlineWriter) Write(p []byte) (int, error) {
	d.c.SetDeadline(time.Now().Add(commandTime))
	return d.c.Write(p)
}

// dotWriter doubles dots at the beginning of lines (RFC 5321 section 4.5.2) and changes nothing else.
type dotWriter struct {
	to        *bufio.Writer
	lineStart bool // the next byte begins a line: only CRLF ends one
	cr        bool // the last byte was CR
}

func (w *dotWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if w.lineStart && rest[0] == '.' {
			w.to.WriteByte('.')
		}
		n := bytes.IndexByte(rest, '\n') + 1
		if n == 0 {
			n = len(rest)
		}
		before := w.cr
		if n > 1 {
			before = rest[n-2] == '\r'
		}
		w.lineStart = rest[n-1] == '\n' && before
		w.cr = rest[n-1] == '\r'
		if _, err := w.to.Write(rest[:n]); err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	return len(p), nil
}

// end writes the final dot, on a line of its own.
func (w *dotWriter) end() error {
	if !w.lineStart {
		w.to.WriteString("\r\n")
	}
	w.to.WriteString(".\r\n")
	return w.to.Flush()
}
