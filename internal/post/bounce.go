package post

import (
	"bytes"
	"fmt"
	"io"
	"mime/quotedprintable"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/sanitize"
)

// MaxReturned bounds how much of a failed message goes back with its bounce, in bytes.
const MaxReturned = 1 << 20

// Bounce writes a delivery status notification (RFC 3464; RFC 6533 when an address is international).
type Bounce struct {
	h             *holdstore.Hold
	tell          []int
	results       map[int]holdstore.Result
	stamp         string // our mark, and as nobody else can make it, the boundary
	messageID     string
	International bool // it needs SMTPUTF8
}

// NewBounce returns one on the failures of some recipients, told by their index.
func NewBounce(h *holdstore.Hold, tell []int, results map[int]holdstore.Result, marker *mark.Marker) *Bounce {
	n := &Bounce{h: h, tell: tell, results: results}
	n.messageID = fmt.Sprintf("<%s.%d@%s>", h.ID, h.Attempts, sanitize.TraceWord(h.Gateway))
	// mail from the null sender is never held: the mark only has to be ours
	n.stamp = marker.Stamp(h.ID, []byte(n.messageID), "")
	n.International = !isASCII(h.Sender.Address)
	for _, i := range tell {
		n.International = n.International || !isASCII(h.Recipients[i].Address)
	}
	return n
}

// Text returns the whole notice; returned is its last part.
func (n *Bounce) Text(returned string) string {
	host, kind := sanitize.TraceWord(n.h.Gateway), "message/delivery-status"
	if n.International {
		kind = "message/global-delivery-status"
	}
	now := time.Now().UTC().Format(time.RFC1123Z)
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	line("Received: by %s (Recall Milter) id %s; %s", host, n.stamp, now)
	line("From: Mail Delivery System <MAILER-DAEMON@%s>", host)
	line("To: <%s>", cut(sanitize.TraceWord(n.h.Sender.Address)))
	line("Subject: Undelivered mail returned to sender")
	line("Date: %s\r\nMessage-ID: %s\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0", now, n.messageID)
	line("Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"%s\"\r\n", n.stamp)
	line("--%s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n", n.stamp)
	line("This is the mail gateway %s.\r\n\r\nYour message could not be delivered to:\r\n", host)
	for _, i := range n.tell {
		line("  <%s>\r\n    %s", cut(sanitize.TraceWord(n.h.Recipients[i].Address)),
			cut(sanitize.HeaderValue(n.results[i].Detail)))
	}
	line("\r\n--%s\r\nContent-Type: %s\r\nContent-Transfer-Encoding: 8bit\r\n", n.stamp, kind)
	b.WriteString(n.status(host))
	line("\r\n--%s\r\n%s\r\n--%s--", n.stamp, returned, n.stamp)
	return b.String()
}

// status writes the part for machines: of the message, then of each recipient (RFC 3464 section 2).
func (n *Bounce) status(host string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	if id := n.h.Sender.Arg("ENVID"); id != "" {
		line("Original-Envelope-Id: %s", cut(sanitize.HeaderValue(unxtext(id))))
	}
	line("Reporting-MTA: dns; %s\r\nArrival-Date: %s", host, n.h.HeldAt.UTC().Format(time.RFC1123Z))
	for _, i := range n.tell {
		to, detail := n.h.Recipients[i], n.results[i].Detail
		kind := "rfc822"
		if !isASCII(to.Address) {
			kind = "utf-8"
		}
		b.WriteString("\r\n")
		if kind, address, ok := strings.Cut(to.Arg("ORCPT"), ";"); ok {
			line("Original-Recipient: %s;%s", cut(sanitize.TraceWord(kind)), cut(sanitize.HeaderValue(unxtext(address))))
		}
		code, _ := EnhancedCode(detail)
		line("Final-Recipient: %s;%s\r\nAction: failed\r\nStatus: %s", kind, cut(sanitize.TraceWord(to.Address)), code)
		line("Diagnostic-Code: smtp; %s", cut(sanitize.HeaderValue(detail)))
	}
	return b.String()
}

var enhanced = regexp.MustCompile(`^[45][0-9]{2}[ -]([45]\.[0-9]{1,3}\.[0-9]{1,3})\b`)

// EnhancedCode is the enhanced code of a reply (RFC 3463); said is false when the reply has none, and the code is made
// of its first digit. A failure for having waited too long keeps its 4: it is what RFC 3464 section 2.3.4 wants then.
func EnhancedCode(reply string) (code string, said bool) {
	if m := enhanced.FindStringSubmatch(reply); m != nil {
		return m[1], true
	}
	if strings.HasPrefix(reply, "5") {
		return "5.0.0", false
	}
	return "4.4.7", false // delivery time expired
}

// HeaderOnly is what goes back by default (RFC 3461 section 4.3).
func (n *Bounce) HeaderOnly(header []byte) string {
	if len(header) > MaxReturned {
		header = header[:strings.LastIndex(string(header[:MaxReturned]), "\r\n")+2]
	}
	kind := "text/rfc822-headers"
	if n.International {
		kind = "message/global-headers"
	}
	if longest(header) > maxLineLength { // RFC 6522 section 4 lets headers be encoded for that
		var b strings.Builder
		w := quotedprintable.NewWriter(&b)
		w.Write(header)
		w.Close()
		return "Content-Type: " + kind + "\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + b.String()
	}
	return "Content-Type: " + kind + "\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + string(header)
}

// longest is the length of the longest line.
func longest(text []byte) (most int) {
	for line := range bytes.Lines(text) {
		most = max(most, len(bytes.TrimRight(line, "\r\n")))
	}
	return most
}

// cut bounds what others typed so that its line stays short enough, between two characters.
func cut(s string) string {
	const most = maxLineLength - 100 // for what comes before it
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

// Whole is what goes back when the sender asked for it: with a line that is too long the header alone, since RFC 2046
// section 5.2.1 lets no message in a message be encoded.
func (n *Bounce) Whole(content io.Reader, header []byte) (string, error) {
	text, err := io.ReadAll(content)
	if longest(text) > maxLineLength {
		return n.HeaderOnly(header), err
	}
	kind := "message/rfc822"
	if n.International {
		kind = "message/global"
	}
	return "Content-Type: " + kind + "\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + string(text), err
}

// unxtext decodes xtext (RFC 3461 section 4); what is none stays as it is.
func unxtext(s string) string {
	return xtextCode.ReplaceAllStringFunc(s, func(code string) string {
		c, _ := strconv.ParseUint(code[1:], 16, 8) // the expression lets nothing else through
		return string([]byte{byte(c)})
	})
}

var xtextCode = regexp.MustCompile(`\+[0-9A-F]{2}`)
