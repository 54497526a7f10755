package recall

import (
	"fmt"
	"strings"
)

// maxTold bounds the recipients and holds that one mail lists.
const maxTold = 200

// letter is what a text can say.
type letter struct {
	Subject   string
	MessageID string
	ID        string // of the hold
	HeldAt    string
	Until     string // when a held message leaves
	Rcpt      []outcome
	More      int // recipients beyond maxTold
	Asked     string
	Why       string
	Held      []waiting
	Address   string // where to send recall commands; empty: there is none
}

// waiting is one held message in a list.
type waiting struct{ ID, Subject, To, Until string }

func (a *answer) letter(d *Desk) letter {
	l := letter{Asked: oneLine(a.asked), Why: oneLine(a.why), Address: d.address()}
	if len(a.done) > 0 {
		h := a.done[0]
		l.Subject, l.MessageID, l.ID, l.HeldAt, l.Until = decoded(h.Subject), oneLine(h.MessageID), h.ID, clock(h.HeldAt), clock(h.Due)
	}
	l.Rcpt = a.outcomes()
	if len(l.Rcpt) > maxTold {
		l.More, l.Rcpt = len(l.Rcpt)-maxTold, l.Rcpt[:maxTold]
	}
	for n := range l.Rcpt {
		l.Rcpt[n].Address, l.Rcpt[n].Detail = oneLine(l.Rcpt[n].Address), oneLine(l.Rcpt[n].Detail)
	}
	for _, h := range a.held[:min(len(a.held), maxTold)] {
		var to []string
		for _, r := range h.Recipients[:min(len(h.Recipients), 3)] {
			to = append(to, oneLine(r.Address))
		}
		if len(h.Recipients) > 3 {
			to = append(to, "...")
		}
		l.Held = append(l.Held, waiting{h.ID, decoded(h.Subject), strings.Join(to, ", "), clock(h.Due)})
	}
	return l
}

func (d *Desk) address() string {
	if len(d.o.Addresses) == 0 {
		return ""
	}
	return d.o.Addresses[0]
}

// status writes message/recall-status; without recipients there is only the general part.
func (a *answer) status(m *Mail) string {
	var b strings.Builder
	line := func(name, value string) { fmt.Fprintf(&b, "%s: %s\r\n", name, oneLine(value)) }
	line("Request-Id", m.MessageID)
	if len(a.done) == 0 {
		result := map[string]string{"not-found": "not-found", "help": "not-found"}[a.kind]
		if result == "" {
			result = "refused"
		}
		if id := bracketed.FindString(a.asked); id != "" {
			line("Original-Message-ID", id)
		}
		fmt.Fprintf(&b, "\r\nFinal-Recipient: rfc822; %s\r\nOutcome: %s\r\n", oneLine(m.Sender.Address), result)
		line("Diagnostic", strings.TrimSpace(a.kind+" "+a.why))
		return b.String()
	}
	line("Original-Message-ID", a.done[0].MessageID)
	for _, o := range a.outcomes() {
		fmt.Fprintf(&b, "\r\nFinal-Recipient: rfc822; %s\r\nOutcome: %s\r\n", oneLine(o.Address), o.word())
		line("Diagnostic", o.Words())
	}
	return b.String()
}

// oneLine keeps what others typed on its line.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
