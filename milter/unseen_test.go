package milter

import (
	"encoding/binary"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// everyMacro are the macros of MILTER_README.
const everyMacro = "i j v _ {auth_authen} {auth_author} {auth_type} {client_addr} {client_connections} {client_name} " +
	"{client_port} {client_ptr} {cert_issuer} {cert_subject} {cipher_bits} {cipher} {daemon_addr} {daemon_name} " +
	"{daemon_port} {mail_addr} {mail_host} {mail_mailer} {rcpt_addr} {rcpt_host} {rcpt_mailer} {tls_version}"

// No milter can know of sendmail -v, -N, -R, -V and -B: the MTA tells it the very same for a message with the option
// and for one without, although it is asked for all macros at every step. So the manual has another way for them.
func TestNoMilterIsToldOfTheOptionsOfSendmail(t *testing.T) {
	t.Parallel()
	milter, told := startListener(t)
	settings := []string{"non_smtpd_milters = $smtpd_milters"}
	for _, step := range []string{"connect", "helo", "mail", "rcpt", "data", "end_of_header", "end_of_data"} {
		settings = append(settings, "milter_"+step+"_macros = "+everyMacro)
	}
	p := server.StartPostfix(t, milter, server.StartSink(t).Addr, settings...)
	submits := func(options ...string) string {
		c := p.Command(append(options, "-f", "a@corp.test", "b@x.test")...)
		c.Stdin = strings.NewReader("Subject: x\nMessage-ID: <x@corp.test>\nDate: Tue, 24 Nov 2026 09:00:00 +0000\n\nx\n")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("sendmail %q: %v: %s", options, err, out)
		}
		return <-told
	}
	plain := submits()
	if !strings.Contains(plain, "b@x.test") || !strings.Contains(plain, "mail_addr") {
		t.Fatalf("the milter was told %q", plain)
	}
	for _, options := range [][]string{{"-v"}, {"-N", "success"}, {"-R", "hdrs"}, {"-V", "ENVELOPE"}, {"-B", "8BITMIME"}} {
		if got := submits(options...); got != plain {
			t.Errorf("%q is told to milters, and could be kept:\n%q\nwithout it\n%q", options, got, plain)
		}
	}
}

// once are what differs from message to message: the queue ID, and the field with it and the moment.
var once = regexp.MustCompile(`i\x00[0-9A-F]{8,}\x00|Received\x00[^\x00]*`)

// startListener starts a milter that accepts everything. For each message it sends what it was told.
func startListener(t *testing.T) (addr string, told chan string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	told = make(chan string, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if text := listens(c); text != "" {
				told <- once.ReplaceAllString(text, "")
			}
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return l.Addr().String(), told
}

// listens returns all commands of one session with a message; "" where the session has none.
func listens(c net.Conn) string {
	defer c.Close()
	var text strings.Builder
	message := false
	for {
		head := make([]byte, 5)
		if _, err := io.ReadFull(c, head); err != nil {
			break
		}
		data := make([]byte, binary.BigEndian.Uint32(head)-1)
		if _, err := io.ReadFull(c, data); err != nil {
			break
		}
		if head[4] != 'O' {
			text.WriteString(string(head[4]) + "\x00" + string(data) + "\n")
		}
		answer := []byte{0, 0, 0, 1, 'c'}
		switch head[4] {
		case 'O': // version 6, no actions, every step
			answer = []byte{0, 0, 0, 13, 'O', 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0}
		case 'D', 'A', 'Q': // no answer is wanted
			continue
		case 'E':
			message = true
		}
		if _, err := c.Write(answer); err != nil {
			break
		}
	}
	if !message {
		return ""
	}
	return text.String()
}
