package command

import (
	"cmp"
	"strings"

	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/outlook"
	"github.com/recall-milter/recall-milter/policy"
)

// ownText is what the sender of a mail wrote, without what a mail program quotes or forwards.
type ownText struct {
	only     policy.Only
	original string // the Message-ID that the header of a message which is forwarded in the text names
	seen     bool   // there is a text, perhaps an empty one
	last     bool   // nothing stands behind the last one
	broken   bool   // more text might be where nothing can be read
	doubtful bool   // ONLY is in a text that might be quoted
}

// shownText is a text of a mail in its forms. Programs show one of them, so that each says all that was written.
type shownText struct{ plain, page writtenText }

// writtenText is one form, without what is quoted.
type writtenText struct {
	lines    []string
	doubtful []string // what might be quoted, and might not
	original string   // as in ownText
	sealed   bool     // a part of it can't be read
}

// ownText reads the texts of a mail. There are several where a program puts a file between two lines: what is written
// behind the file counts as well. A text that is a file counts where there is no other.
func (r reader) ownText(m *mailmsg.Message) (own ownText) {
	var texts []*shownText
	var files []mailmsg.Part
	at := map[int]*shownText{} // those that have several forms
	take := func(p mailmsg.Part) {
		own.seen, own.broken = true, own.broken || !p.Whole || !p.Readable
		text := at[p.Alternative]
		if text == nil || p.Alternative == 0 {
			text = &shownText{}
			texts, at[p.Alternative] = append(texts, text), text
		}
		own.broken = !r.read(text, p) || own.broken
	}
	winmail := false
	extent := m.Parts(func(p mailmsg.Part) bool {
		own.broken = own.broken || sealedTypes[p.Kind] || p.Name == "" && strangeTypes[p.Kind]
		winmail = winmail || outlook.IsTNEF(p)
		isText := strings.HasPrefix(p.Kind, "text/")
		if own.last = isText && p.Name == ""; own.last {
			take(p)
		} else if isText {
			files = append(files, p)
		}
		return true
	})
	own.broken = own.broken || !extent.Whole || winmail && !own.seen
	if !own.seen {
		for _, p := range files {
			take(p)
		}
	}
	own.doubtful = policy.ReadOnly(linesOf(extent.Around)).Said()
	for _, text := range texts {
		own.addText(text)
	}
	return own
}

// read adds what a part says to one text. It says whether all of it could be read.
func (r reader) read(text *shownText, p mailmsg.Part) bool {
	var written writtenText
	switch p.Kind {
	case "text/plain", "text/markdown":
		written = r.cutQuotes(unflowed(p.Text, p.Flowed, p.DelSp))
		text.plain.add(written)
	case "text/html", "text/enriched", "text/richtext":
		page := textOf(p.Text)
		written = r.cutQuotes(linesOf(page.b.String()))
		written.doubtful = append(written.doubtful, linesOf(page.quoted.String())...)
		written.sealed = written.sealed || page.hidden != "" && page.hidden != "blockquote"
		text.page.add(written)
	default:
		return !p.Inline || unwrittenTypes[p.Kind]
	}
	return !written.sealed
}

func (own *ownText) addText(text *shownText) {
	only := policy.ReadOnly(text.plain.lines)
	if !only.Said() { // a program may have left out of one form what the other has
		only = policy.ReadOnly(text.page.lines)
	}
	own.only = own.only.With(only)
	own.original = cmp.Or(own.original, text.plain.original, text.page.original)
	own.doubtful = own.doubtful || policy.ReadOnly(text.plain.doubtful).Said() ||
		policy.ReadOnly(text.page.doubtful).Said()
}

// Types of parts.
var (
	// Encrypted, or signed in a form that has no text for others (RFC 8551, RFC 3156), or not the whole mail (RFC 2046).
	sealedTypes = map[string]bool{"application/pkcs7-mime": true, "application/x-pkcs7-mime": true,
		"application/pgp-encrypted": true, "message/partial": true}
	// Texts that only some programs can read, when they are not a file.
	strangeTypes = map[string]bool{"application/rtf": true, "application/xhtml+xml": true}
	// What a program writes, and no sender.
	unwrittenTypes = map[string]bool{"text/rfc822-headers": true, "text/vcard": true, "text/x-vcard": true,
		"text/directory": true}
)

func (w *writtenText) add(more writtenText) {
	w.lines = append(w.lines, more.lines...)
	w.doubtful = append(w.doubtful, more.doubtful...)
	w.original = cmp.Or(w.original, more.original)
}

// cutQuotes leaves out quoted lines, and everything below the header of a message that is quoted or forwarded. What is
// below something that people write by hand as well is doubtful.
func (r reader) cutQuotes(lines []string) (own writtenText) {
	armored := false
	for n, line := range lines {
		shown := policy.Visible(line)
		begins := armorLine.FindStringSubmatch(shown)
		switch {
		case armored:
			armored = !strings.HasPrefix(shown, "-----END ")
		case begins != nil:
			own.sealed = own.sealed || begins[1] == "PGP MESSAGE"
			armored = begins[1] != "PGP SIGNED MESSAGE"
		case quotedLine.MatchString(shown) && !quoteRule.MatchString(shown):
		case beginsQuote(shown, lines[n+1:]):
			own.original = r.originalIn(lines[n:])
			return own
		case quoteRule.MatchString(shown), r.quotesUs(shown):
			own.original, own.doubtful = r.originalIn(lines[n:]), lines[n:]
			return own
		default:
			found := idLine.FindStringSubmatch(shown)
			if found == nil {
				own.lines = append(own.lines, line)
				continue
			}
			own.original = cmp.Or(own.original, policy.MessageID(found[1]))
			if n > 0 && isField(lines[n-1]) || n+1 < len(lines) && isField(lines[n+1]) {
				own.doubtful = lines[n+1:]
				return own
			}
		}
	}
	return own
}

// quotesUs says whether a line introduces one of our own mails: "On Tuesday, Message recall <recall@corp.test> wrote:".
func (r reader) quotesUs(line string) bool {
	for _, address := range r {
		if strings.Contains(strings.ToLower(line), strings.ToLower(address)) && (strings.HasSuffix(line, ":") ||
			fromLine.MatchString(line)) {
			return true
		}
	}
	return false
}

// originalIn finds the Message-ID in the header of a message that is forwarded in the text. One of our own mails there
// names other messages in its text, but means none of them.
func (r reader) originalIn(lines []string) string {
	for n, line := range lines[:min(len(lines), maxShownHeader)] {
		line = policy.Visible(line)
		switch found := idLine.FindStringSubmatch(line); {
		case n > 0 && r.quotesUs(line):
			return ""
		case found != nil:
			return policy.MessageID(found[1])
		}
	}
	return ""
}

// maxShownHeader bounds the lines of a header that a program shows above what it forwards.
const maxShownHeader = 100

// unflowed returns the lines of a text, those joined that format=flowed has broken (RFC 3676).
func unflowed(text string, flowed, delSp bool) []string {
	lines := linesOf(text)
	if !flowed {
		return lines
	}
	var joined strings.Builder
	open := false
	for n, line := range lines {
		line = strings.TrimPrefix(line, " ") // stuffed
		soft := strings.HasSuffix(line, " ") && line != "-- "
		if soft && delSp {
			line = strings.TrimSuffix(line, " ")
		}
		if n > 0 && (!open || strings.HasPrefix(line, ">")) {
			joined.WriteByte('\n')
		}
		joined.WriteString(line)
		open = soft && !strings.HasPrefix(line, ">")
	}
	return strings.Split(joined.String(), "\n")
}

// lineEnds are what programs take for the end of a line.
var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\v", "\n", "\f", "\n", "\u0085", "\n", "\u2028", "\n",
	"\u2029", "\n")

func linesOf(text string) []string {
	return strings.Split(lineEnds.Replace(text), "\n")
}
