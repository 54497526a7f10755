package release

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/sanitize"
)

// How much the trace field of a released message tells (release.received).
const (
	ReceivedFull  = "full"  // as Postfix writes it: the client's name, address and HELO
	ReceivedShort = "short" // nothing about the client
	ReceivedNone  = "none"  // no Received field: only our mark, in a field of its own
)

// received returns the Received field for the hop that Postfix hides from milters (RFC 5321 section 4.4), with our
// mark as its id. Header checks of the site may have removed the MTA's own field to hide its clients, and no milter can
// know that; so only a site that wants it has us tell of them.
func received(h *holdstore.Hold, stamp, detail string) string {
	if detail == ReceivedNone {
		return mark.Field + ": id " + stamp + "\r\n"
	}
	var b strings.Builder
	b.WriteString("Received: ")
	if c := h.Client; c.Address != "" && detail == ReceivedFull {
		fmt.Fprintf(&b, "from %s (%s [%s])\r\n\t", sanitize.TraceWord(c.HELO), sanitize.TraceWord(c.Name), literal(c.Address))
	}
	fmt.Fprintf(&b, "by %s (Recall Milter) with %s id %s", sanitize.TraceWord(h.Gateway), protocol(h), stamp)
	if len(h.Recipients) == 1 {
		fmt.Fprintf(&b, "\r\n\tfor <%s>", sanitize.TraceWord(h.Recipients[0].Address))
	}
	fmt.Fprintf(&b, "; %s\r\n", h.HeldAt.UTC().Format(time.RFC1123Z))
	return b.String()
}

// protocol is the value of the with clause (RFC 3848, RFC 6531 section 4.3). Milters are not told HELO from EHLO.
func protocol(h *holdstore.Hold) string {
	if h.Client.Address == "" {
		return "local"
	}
	p := "ESMTP"
	if slices.ContainsFunc(h.Sender.Args, func(arg string) bool { return strings.EqualFold(arg, "SMTPUTF8") }) {
		p = "UTF8SMTP"
	}
	if h.TLS != "" {
		p += "S"
	}
	if h.Login != "" {
		p += "A"
	}
	return p
}

func literal(address string) string {
	if strings.Contains(address, ":") {
		return "IPv6:" + address
	}
	return address
}
