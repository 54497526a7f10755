package release

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// Time-outs of RFC 5321 section 4.5.3.2; the re-injection port is near, so one value does for all but the final dot.
const (
	dialTime    = 30 * time.Second
	commandTime = 2 * time.Minute
	dotTime     = 5 * time.Minute
)

// Bounds of what the port may answer, and of what is written before its answers are read (RFC 2920 section 3.1: both
// sides' buffers must hold a whole batch).
const (
	maxLine      = 4 << 10
	maxLines     = 100
	batchLines   = 100
	batchBytes   = 16 << 10
	maxTextBytes = 1000 // of a reply that is kept in results
)

// refusal is a reply of 4xx or 5xx.
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
	conn   net.Conn
	in     *bufio.Reader
	out    *bufio.Writer
	offers map[string]string // EHLO keyword, and what stands behind it
	open   bool              // a transaction may be open: RSET comes first
	inData bool              // the port waits for content, or for its end
	idle   time.Time         // since when nothing is under way
}

// dial connects and greets as a host, and waits so long at each step, at most until ctx ends. address is host:port or
// unix:/path. Every error is temporary: it is about the port, not about the message.
func dial(ctx context.Context, address, host string, wait time.Duration) (*client, error) {
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	conn, err := (&net.Dialer{Timeout: min(wait, dialTime)}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })() // a port that never greets must not outlive ctx
	c := &client{conn: conn, offers: map[string]string{}}
	c.in = bufio.NewReaderSize(conn, maxLine)
	c.out = bufio.NewWriterSize(deadlineWriter{conn}, 64<<10)
	if err := c.greet(hostName(host), wait); err != nil {
		conn.Close()
		return nil, fmt.Errorf("the re-injection port %s is not ready: %w", address, err)
	}
	return c, nil
}

// hostName is what the client calls itself: the MTA's own host name, as Postfix and Sendmail do between their own
// ports. Where the MTA did not say it, RFC 5321 section 4.1.3 wants an address.
func hostName(gateway string) string {
	if gateway == "" || len(gateway) > 255 || strings.Trim(strings.ToLower(gateway), hostCharacters) != "" {
		return "[127.0.0.1]"
	}
	return gateway
}

const hostCharacters = "abcdefghijklmnopqrstuvwxyz0123456789-."

func (c *client) greet(name string, wait time.Duration) error {
	if _, err := c.success(wait); err != nil {
		return asTemporary(err)
	}
	text, err := c.command("EHLO "+name, wait)
	if err != nil {
		return asTemporary(err)
	}
	for _, line := range strings.Split(text, "\n") {
		word, rest, _ := strings.Cut(line, " ")
		c.offers[strings.ToUpper(word)] = strings.ToUpper(rest)
	}
	return nil
}

// asTemporary keeps a refusal of the port itself from bouncing mail.
func asTemporary(err error) error {
	var r *refusal
	if errors.As(err, &r) && r.code >= 500 {
		return &refusal{450, "the port refuses us: " + r.Error()}
	}
	return err
}

// deadlineWriter bounds each write: a port that stops reading must not hold a worker forever.
type deadlineWriter struct{ conn net.Conn }

func (d deadlineWriter) Write(p []byte) (int, error) {
	d.conn.SetWriteDeadline(time.Now().Add(commandTime))
	return d.conn.Write(p)
}

// write puts one command line into the buffer; it has no line breaks.
func (c *client) write(line string) error {
	_, err := c.out.WriteString(line + "\r\n")
	return err
}

// command sends one line and waits so long for its reply; the lines of its text are joined by LF.
func (c *client) command(line string, wait time.Duration) (string, error) {
	if err := c.write(line); err != nil {
		return "", err
	}
	if err := c.out.Flush(); err != nil {
		return "", err
	}
	return c.success(wait)
}

// success reads a reply that must be 2xx.
func (c *client) success(wait time.Duration) (string, error) { return c.expect('2', wait) }

// expect reads a reply whose code must begin with a digit; 4xx and 5xx are a refusal. Any other reply (a 250 to DATA, a
// 354 to MAIL) shows that both sides no longer talk about the same command, so nothing on this connection counts.
func (c *client) expect(digit byte, wait time.Duration) (string, error) {
	code, text, err := c.reply(wait)
	if err == nil && code/100 != int(digit-'0') {
		err = fmt.Errorf("the port answers %d where %cxx is due: %s", code, digit, short(text))
	}
	return text, err
}

// reply reads one reply (RFC 5321 section 4.2); 4xx and 5xx are a refusal.
func (c *client) reply(wait time.Duration) (int, string, error) {
	c.conn.SetReadDeadline(time.Now().Add(wait))
	var text strings.Builder
	for n := 0; ; n++ {
		code, more, rest, err := c.replyLine()
		if err != nil {
			return 0, "", err
		}
		if text.Len()+len(rest) < maxLine*4 {
			if n > 0 {
				text.WriteByte('\n')
			}
			text.WriteString(rest)
		}
		if !more {
			if code >= 400 {
				return code, "", &refusal{code, short(text.String())}
			}
			return code, text.String(), nil
		}
		if n >= maxLines {
			return 0, "", errors.New("the port answers with too many lines")
		}
	}
}

// replyLine reads "250-text" or "250 text".
func (c *client) replyLine() (code int, more bool, rest string, err error) {
	line, err := c.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return 0, false, "", errors.New("the port answers with too long a line")
	}
	if err != nil {
		return 0, false, "", unexpected(err)
	}
	text := strings.TrimRight(string(line), "\r\n")
	if len(text) < 3 || strings.Trim(text[:3], "0123456789") != "" || text[0] < '2' || text[0] > '5' ||
		len(text) > 3 && text[3] != ' ' && text[3] != '-' {
		return 0, false, "", fmt.Errorf("the port's answer is not SMTP: %q", short(text))
	}
	code = int(text[0]-'0')*100 + int(text[1]-'0')*10 + int(text[2]-'0')
	return code, len(text) > 3 && text[3] == '-', strings.TrimSpace(text[min(4, len(text)):]), nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// short makes one bounded line of a reply.
func short(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\n", " "), "?")
	return s[:min(len(s), maxTextBytes)]
}

// quit ends the connection politely; nothing waits for the answer.
func (c *client) quit() {
	_ = c.write("QUIT")
	_ = c.out.Flush()
	c.conn.Close()
}
