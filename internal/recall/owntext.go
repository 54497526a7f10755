package recall

import (
	"cmp"
	"strings"

	"golang.org/x/net/html"

	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/policy"
)

// ownText is what the sender of a mail wrote, without what a mail program quotes or forwards.
type ownText struct {
	only     policy.Only
	original string // the Message-ID that the header of a message which is forwarded in the text names
	seen     bool   // there is a text, perhaps an empty one
	last     bool   // nothing stands behind the last one
	broken   bool   // more text might be where nothing can be read
}

// shownText is a text of a mail in its forms. Programs show one of them, so that each says all that was written.
type shownText struct{ plain, page writtenText }

// writtenText is one form, without what is quoted.
type writtenText struct {
	lines    []string
	original string // as in ownText
}

// ownText reads the texts of a mail. There are several where a program puts a file between two lines: what is written
// behind the file counts as well.
func (d *Desk) ownText(m *Mail) (own ownText) {
	var texts []*shownText
	at := map[int]*shownText{} // those that have several forms
	extent := m.Parts(func(p mailmsg.Part) bool {
		own.broken = own.broken || sealedTypes[p.Kind]
		if own.last = p.Name == "" && strings.HasPrefix(p.Kind, "text/"); !own.last {
			return true
		}
		own.seen, own.broken = true, own.broken || !p.Whole
		text := at[p.Alternative]
		if text == nil || p.Alternative == 0 {
			text = &shownText{}
			texts, at[p.Alternative] = append(texts, text), text
		}
		switch p.Kind {
		case "text/plain":
			text.plain.add(d.cutQuotes(unflowed(p.Text, p.Flowed, p.DelSp)))
		case "text/html", "text/enriched", "text/richtext":
			text.page.add(d.cutQuotes(linesOf(textOf(p.Text))))
		}
		return true
	})
	own.broken = own.broken || !extent.Whole
	for _, text := range texts {
		only := policy.ReadOnly(text.plain.lines)
		if !only.Said() { // a program may have left out of one form what the other has
			only = policy.ReadOnly(text.page.lines)
		}
		own.only = own.only.With(only)
		own.original = cmp.Or(own.original, text.plain.original, text.page.original)
	}
	return own
}

// sealedTypes are those of parts that are encrypted, or signed in a form that has no text for others (RFC 8551, RFC
// 3156).
var sealedTypes = map[string]bool{"application/pkcs7-mime": true, "application/x-pkcs7-mime": true,
	"application/pgp-encrypted": true}

func (w *writtenText) add(more writtenText) {
	w.lines = append(w.lines, more.lines...)
	w.original = cmp.Or(w.original, more.original)
}

// cutQuotes leaves out quoted lines, and everything below the header of a message that is quoted or forwarded.
func (d *Desk) cutQuotes(lines []string) (own writtenText) {
	for n, line := range lines {
		shown := policy.Visible(line)
		switch {
		case quotedLine.MatchString(shown) && !quoteRule.MatchString(shown):
			continue
		case beginsQuote(shown, lines[n+1:]), d.quotesUs(shown):
			own.original = d.originalIn(lines[n:])
			return own
		}
		if found := idLine.FindStringSubmatch(shown); found != nil {
			own.original = policy.MessageID(found[1])
			return own
		}
		own.lines = append(own.lines, line)
	}
	return own
}

// quotesUs says whether a line introduces one of our own mails: "On Tuesday, Message recall <recall@corp.test> wrote:".
func (d *Desk) quotesUs(line string) bool {
	for _, address := range d.o.Addresses {
		if strings.Contains(strings.ToLower(line), strings.ToLower(address)) && (strings.HasSuffix(line, ":") ||
			fromLine.MatchString(line)) {
			return true
		}
	}
	return false
}

// originalIn finds the Message-ID in the header of a message that is forwarded in the text. One of our own mails there
// names other messages in its text, but means none of them.
func (d *Desk) originalIn(lines []string) string {
	for n, line := range lines[:min(len(lines), maxShownHeader)] {
		line = policy.Visible(line)
		switch found := idLine.FindStringSubmatch(line); {
		case n > 0 && d.quotesUs(line):
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

func linesOf(text string) []string {
	return strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
}

// textOf is the text of an HTML page as a reader sees its lines, without what it quotes.
func textOf(page string) string {
	t := pageText{}
	for z := html.NewTokenizer(strings.NewReader(page)); ; {
		if z.Next() == html.ErrorToken {
			return t.b.String()
		}
		t.take(z.Token())
	}
}

// pageText gathers the text of a page.
type pageText struct {
	b      strings.Builder
	inLine bool   // something is on the present line
	hidden string // the element whose content is left out, and how deep we are in such ones
	depth  int
	pre    bool // line breaks count
}

func (p *pageText) take(t html.Token) {
	starts, ends := t.Type == html.StartTagToken, t.Type == html.EndTagToken
	switch {
	case p.hidden != "":
		if t.Data == p.hidden && starts {
			p.depth++
		} else if t.Data == p.hidden && ends {
			p.depth--
		}
		if p.depth == 0 {
			p.hidden = ""
		}
	case t.Type == html.TextToken:
		text := t.Data
		if !p.pre {
			text = strings.NewReplacer("\r", " ", "\n", " ").Replace(text)
		}
		p.b.WriteString(text)
		p.inLine = p.inLine || strings.TrimSpace(text) != ""
	case starts && leftOut[t.Data]:
		p.hidden, p.depth = t.Data, 1
		p.endLine()
	case t.Data == "br":
		p.b.WriteString("\n")
		p.inLine = false
	case breaksLine[t.Data]:
		p.endLine()
		p.pre = t.Data == "pre" && starts
	}
}

func (p *pageText) endLine() {
	if p.inLine {
		p.b.WriteString("\n")
		p.inLine = false
	}
}

var (
	leftOut    = map[string]bool{"blockquote": true, "style": true, "script": true, "title": true, "head": true}
	breaksLine = map[string]bool{"p": true, "div": true, "tr": true, "li": true, "ul": true, "ol": true, "table": true,
		"hr": true, "h1": true, "h2": true, "h3": true, "h4": true, "pre": true, "body": true}
)
