package inbound

import (
	"slices"
	"strings"

	"golang.org/x/net/html"

	"github.com/recall-milter/recall-milter/internal/lazyregexp"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/outlook"
	"github.com/recall-milter/recall-milter/internal/outlook/tnef"
	"github.com/recall-milter/recall-milter/internal/protocol"
)

// A mail that passes as a genuine recall is one that filters may treat with care: its winmail.dat is let through, say.
// So nothing may travel along. A recall is one text of a few lines, perhaps the same as HTML, and its part for
// programs.

// Bounds of what a recall consists of.
const (
	maxCarried = 2        // parts of a recall of Outlook or Exchange: two texts, or a text and a winmail.dat
	maxReport  = 3        // of a request: text, message/recall-request, the original's header
	maxWinmail = 50 << 10 // bytes of a winmail.dat
)

// carries says whether a mail has more in it than a recall.
func carries(m *mailmsg.Message) (more bool) {
	most, kinds := maxCarried, []string{"text/plain", "text/html"}
	if isRequest(m) {
		most, kinds = maxReport, []string{"text/plain", protocol.RequestType, "text/rfc822-headers"}
	}
	seen := 0
	extent := m.Parts(func(p mailmsg.Part) bool {
		seen++
		switch {
		case seen > most:
			more = true
		case outlook.IsTNEF(p):
			t, err := tnef.Read(p.Body)
			more = err != nil || len(p.Body) > maxWinmail || t.Class != tnef.RecallClass || t.Attachments || t.Page ||
				!mailmsg.IsProse(t.Text) || address.MatchString(t.Text)
		default:
			more = !slices.Contains(kinds, p.Kind) || !p.Inline || !p.Readable || !mailmsg.IsProse(shown(p))
		}
		return !more
	})
	return more || !extent.Agreed
}

// Elements and attributes of HTML that only show text. Whatever else there is may load, lead or run something.
var (
	plainElements = strings.Fields("html head title meta style body div p br hr span font b i u s em strong small " +
		"big tt pre center blockquote table tbody tr td th o:p")
	plainAttributes = strings.Fields("class id lang xml:lang dir align valign color bgcolor face size width height " +
		"border cellpadding cellspacing style text link vlink name content http-equiv")
	loading = lazyregexp.New(`(?i)url\s*\(|@import|expression\s*\(|behaviou?r\s*:|-moz-binding|\\|/\*`)
	address = lazyregexp.New(`(?i)[a-z][a-z0-9+.-]*://|\bwww\.|\bmailto:`)
)

// shown is what a part says to people; what a request says to programs is read by the letter.
func shown(p mailmsg.Part) string {
	switch p.Kind {
	case protocol.RequestType:
		return ""
	case "text/html":
		return visible(p.Text)
	}
	return p.Text
}

// visible is the text of an HTML page that shows text and does nothing else. Of any other page it is something that is
// no prose.
func visible(page string) string {
	const more = "<script"
	var b strings.Builder
	z := html.NewTokenizer(strings.NewReader(page))
	inStyle := false
	for {
		switch z.Next() {
		case html.ErrorToken:
			if text := b.String(); !address.MatchString(text) {
				return text
			}
			return more
		case html.TextToken:
			if text := string(z.Text()); !inStyle {
				b.WriteString(text)
			} else if loading.MatchString(text) {
				return more
			}
		case html.CommentToken: // conditional comments of Outlook are read by some programs
			return more
		case html.StartTagToken, html.SelfClosingTagToken, html.EndTagToken:
			t := z.Token()
			if inStyle = t.Type == html.StartTagToken && t.Data == "style"; !onlyShows(t) {
				return more
			}
		}
	}
}

// onlyShows says whether a tag only shows text.
func onlyShows(t html.Token) bool {
	if !slices.Contains(plainElements, t.Data) {
		return false
	}
	return !slices.ContainsFunc(t.Attr, func(a html.Attribute) bool {
		refreshes := a.Key == "http-equiv" && !strings.EqualFold(a.Val, "Content-Type")
		namespace := a.Key == "xmlns" || strings.HasPrefix(a.Key, "xmlns:")
		return refreshes || !namespace && (!slices.Contains(plainAttributes, a.Key) || loading.MatchString(a.Val) ||
			address.MatchString(a.Val))
	})
}
