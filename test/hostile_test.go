package test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/textproto"
	"regexp"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

const plainHeader = "From: a@corp.test\r\nMessage-ID: <m@corp.test>\r\nDate: Tue, 24 Nov 2026 09:00:00 +0000\r\n"

// hostile are messages that some program on the way may want to fix. None may look different after a hold than after
// the same MTA without us.
var hostile = map[string]string{
	"folded by blanks":         plainHeader + "Subject: one\r\n two\r\n   three\r\n\r\nbody\r\n",
	"folded by tabs":           plainHeader + "Subject: one\r\n\ttwo\r\n\t\tthree\r\n\r\nbody\r\n",
	"fold first":               plainHeader + "Subject:\r\n one\r\n\r\nbody\r\n",
	"fold of blanks only":      plainHeader + "Subject: one\r\n \r\n two\r\n\r\nbody\r\n",
	"fold at the end":          plainHeader + "Subject: one\r\n \t\r\n\r\nbody\r\n",
	"no blank after the colon": plainHeader + "Subject:x\r\nX-A:b\r\n\r\nbody\r\n",
	"many blanks after it":     plainHeader + "Subject:    x\r\nX-A:\t\t b\r\n\r\nbody\r\n",
	"blank before the colon":   plainHeader + "X-A : b\r\nX-B\t: c\r\n\r\nbody\r\n",
	"empty value":              plainHeader + "X-A:\r\nX-B: \r\nX-C:\t\r\n\r\nbody\r\n",
	"trailing blanks":          plainHeader + "Subject: x  \t \r\nX-A: b \r\n\r\nbody \t\r\n  \r\n",
	"odd names":                plainHeader + "x-LOWER-upper: a\r\n123: b\r\nX_Y.Z!#$: c\r\n\r\nbody\r\n",
	"duplicates in order":      plainHeader + "X-A: 1\r\nX-B: 2\r\nX-A: 3\r\nX-a: 4\r\nX-A: 1\r\n\r\nbody\r\n",
	"8-bit header":             plainHeader + "Subject: \xe4\xf6\xfc \xff\r\n\r\nbody\r\n",
	"UTF-8 header":             plainHeader + "Subject: 撤回: 価格表 🙂\r\n\r\nbody\r\n",
	"encoded words":            plainHeader + "Subject: =?utf-8?B?5pKk5Zue?= =?gb2312?Q?=C4=E3?=\r\n\r\nbody\r\n",
	"control characters":       plainHeader + "Subject: a\x01b\x08c\x1b[31m\x7f\r\n\r\nbody\r\n",
	"percent signs":            plainHeader + "Subject: %s %d %% %n 100%\r\n\r\n%s%n\r\n",
	"3000 fields":              plainHeader + strings.Repeat("X-Many: value of a field\r\n", 3000) + "\r\nbody\r\n",
	// Postfix itself cuts fields at 60,000 bytes in a cleanup process that has served a milter before.
	"a field of 58 KB": plainHeader + "X-Long: " + strings.Repeat("0123456789 abcde\r\n ", 3200) +
		"end\r\n\r\nbody\r\n",
	"a header line of 900": plainHeader + "X-Long: " + strings.Repeat("y", 900) + "\r\n\r\nbody\r\n",
	"an earlier Received": plainHeader + "X-A: b\r\nReceived: from x by y; Tue, 24 Nov 2026 08:00:00 " +
		"+0000\r\n\r\nbody\r\n",
	"Return-Receipt and MDN": plainHeader + "Disposition-Notification-To: a@corp.test\r\nReturn-Receipt-To: " +
		"<a@corp.test>\r\n\r\nbody\r\n",
	"no Subject, no To": plainHeader + "\r\nbody\r\n",
	"our own names, forged": plainHeader + "X-Recall-Policy: pass\r\nAuthentication-Results: gw.corp.test; " +
		"dkim=pass\r\n\r\nbody\r\n",
	"group syntax": plainHeader + "To: undisclosed-recipients:;\r\nCc: A Group:b@x.test,\"c, " +
		"d\"@x.test;\r\n\r\nbody\r\n",
	"comments and quotes":      plainHeader + "To: (a \\) comment) \"b\\\"q\" <b@x.test> (end)\r\n\r\nbody\r\n",
	"empty body":               plainHeader + "Subject: x\r\n\r\n",
	"only a line break":        plainHeader + "Subject: x\r\n\r\n\r\n",
	"empty lines at the end":   plainHeader + "Subject: x\r\n\r\nbody\r\n\r\n\r\n\r\n\r\n",
	"empty lines at the front": plainHeader + "Subject: x\r\n\r\n\r\n\r\nbody\r\n",
	"lone dots":                plainHeader + "Subject: x\r\n\r\n.\r\n..\r\n...\r\n.x\r\n. \r\n",
	"a dot alone":              plainHeader + "Subject: x\r\n\r\n.\r\n",
	"SMTP in the body":         plainHeader + "Subject: x\r\n\r\nQUIT\r\n.\r\nMAIL FROM:<evil@x.test>\r\nRSET\r\n",
	"8-bit body":               plainHeader + "Subject: x\r\n\r\n" + eightBit + "\r\n",
	"NUL in the body":          plainHeader + "Subject: x\r\n\r\na\x00b\r\n\x00\r\n",
	"bare CR":                  plainHeader + "Subject: x\r\n\r\na\rb\r\rc\r\n",
	"CRCRLF":                   plainHeader + "Subject: x\r\n\r\na\r\r\n\r\r\nb\r\r\n",
	"bare LF":                  plainHeader + "Subject: x\r\n\r\na\nb\n.c\n\nd\r\n",
	"a line of 5000":           plainHeader + "Subject: x\r\n\r\n" + strings.Repeat("z", 5000) + "\r\nend\r\n",
	"From_ lines":              plainHeader + "Subject: x\r\n\r\nFrom here on\r\n>From there\r\n",
	"a body like a header": plainHeader + "Subject: x\r\n\r\nBcc: secret@x.test\r\nX-Hold-For: " +
		"10m\r\n\r\nReceived: x\r\n",
	"a header like a body": plainHeader + "Subject: x\r\nthis is not a field\r\nX-After: y\r\n\r\nbody\r\n",
	"chunk ends inside CRLF": plainHeader + "Subject: x\r\n\r\n" + strings.Repeat("a", 65533) + "\r\n" +
		strings.Repeat("b", 65535) + "\r\n.\r\nend\r\n",
	"multipart without its end": plainHeader + "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; " +
		"boundary=\"b\"\r\n\r\n--b\r\n\r\nx\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: y\r\n",
	"binary attachment, base64": plainHeader + "Content-Transfer-Encoding: base64\r\n\r\n" +
		strings.Repeat("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=\r\n", 2000),
	"blank at a body line's end": plainHeader + "Subject: x\r\n\r\nflowed \r\n text  \r\n\t\r\n-- \r\nme\r\n",
}

var eightBit = func() string {
	var b strings.Builder
	for c := 0x80; c <= 0xff; c++ {
		b.WriteByte(byte(c))
	}
	return b.String()
}()

// submit sends content to the byte: only dots at the beginning of lines are doubled, also behind a bare LF, which
// Postfix takes for a line's end.
func submit(addr, from, to, content string) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	c := textproto.NewConn(conn)
	defer c.Close()
	for _, line := range []string{"", "EHLO pc.corp.test", "MAIL FROM:<" + from + ">", "RCPT TO:<" + to + ">", "DATA"} {
		if line != "" {
			c.PrintfLine("%s", line)
		}
		if _, _, err := c.ReadResponse(0); err != nil {
			return fmt.Errorf("%s: %w", line, err)
		}
	}
	w := bufio.NewWriter(conn)
	for _, line := range strings.SplitAfter(content, "\n") {
		if strings.HasPrefix(line, ".") {
			w.WriteByte('.')
		}
		w.WriteString(line)
	}
	w.WriteString(".\r\n")
	if err := w.Flush(); err != nil {
		return err
	}
	_, _, err = c.ReadResponse(250)
	return err
}

// to returns what a recipient got, without what the way adds at the top: Received fields and a Cancel-Lock.
func (g *gateway) to(address string) []string {
	var all []string
	for _, d := range g.sink.Got() {
		if strings.HasPrefix(d.Rcpt[0], "<"+address+">") {
			all = append(all, withoutTrace(string(d.Data)))
		}
	}
	return all
}

func withoutTrace(data string) string {
	for strings.HasPrefix(data, "Received: ") {
		end := fieldEnd.FindStringIndex(data)
		data = data[end[1]-1:]
	}
	return ownLock.ReplaceAllString(data, "")
}

var ownLock = regexp.MustCompile(`^Cancel-Lock: sha256:[A-Za-z0-9+/=]{44}(\r\n\tsha256:[A-Za-z0-9+/=]{44})*\r\n`)

var fieldEnd = regexp.MustCompile(`\r\n[^ \t]`)

func TestHostileMessagesLookAsIfWeWereNotThere(t *testing.T) {
	eachMTA(t, func(t *testing.T, k kind) {
		if len(hostile) < 40 {
			t.Fatalf("only %d hostile messages", len(hostile))
		}
		g := k.gateway(t, "1s")
		n, names := 0, map[string]int{}
		for name, content := range hostile {
			n++
			plain := submit(g.mta.reinject, "a@corp.test", fmt.Sprintf("plain%d@x.test", n), content)
			held := submit(g.mta.smtp, "a@corp.test", fmt.Sprintf("held%d@x.test", n), content)
			if plain == nil && held == nil {
				names[name] = n
			} else if plain == nil || held == nil || plain.Error() != held.Error() {
				t.Errorf("%s: refused in another way than without us: %v, %v", name, held, plain)
			}
		}
		if len(names) < 40 { // Sendmail refuses what has NUL, bare CR or bare LF; Postfix takes all
			t.Errorf("only %d of %d were taken", len(names), len(hostile))
		}
		for name, n := range names {
			var plain, held []string
			server.Eventually(t, name+" arrives twice", func() bool {
				plain, held = g.to(fmt.Sprintf("plain%d@x.test", n)), g.to(fmt.Sprintf("held%d@x.test", n))
				return len(plain) == 1 && len(held) == 1
			})
			if plain[0] != held[0] {
				i := firstDifference(plain[0], held[0])
				t.Errorf("%s: from byte %d\nheld  %.120q\nplain %.120q", name, i, held[0][max(0, i-20):], plain[0][max(0, i-20):])
			}
		}
		if !bytes.Contains(g.sink.Got()[0].Data, []byte("Received: ")) {
			t.Error("what is compared is not what came from Postfix")
		}
	})
}

func firstDifference(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}
