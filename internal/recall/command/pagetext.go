package command

import (
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// textOf reads an HTML page as a reader sees its lines, without what it quotes.
func textOf(page string) (t pageText) {
	for z := html.NewTokenizer(strings.NewReader(page)); ; {
		if z.Next() == html.ErrorToken {
			return t
		}
		t.take(z.Token())
	}
}

// pageText gathers the text of a page.
type pageText struct {
	b       strings.Builder
	quoted  strings.Builder // what is indented: it might be quoted, and might not
	inLine  bool            // something is on the present line
	hidden  string          // the element whose content is left out, and how deep we are in such ones
	depth   int
	indents bool // that element may be there to indent a text
	pre     bool // line breaks count
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
		if p.indents {
			p.quote(t)
		}
		if p.depth == 0 {
			p.hidden, p.indents = "", false
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
		p.indents = t.Data == "blockquote" && !isCited(t)
		p.endLine()
	case t.Data == "br":
		p.b.WriteString("\n")
		p.inLine = false
	case t.Data == "td", t.Data == "th":
		p.b.WriteString(" ")
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

// quote takes a token of what is indented.
func (p *pageText) quote(t html.Token) {
	switch {
	case t.Type == html.TextToken:
		p.quoted.WriteString(strings.NewReplacer("\r", " ", "\n", " ").Replace(t.Data))
	case t.Data == "br", breaksLine[t.Data], t.Data == "blockquote":
		p.quoted.WriteString("\n")
	case t.Data == "td", t.Data == "th":
		p.quoted.WriteString(" ")
	}
}

// isCited says whether a program has marked a blockquote as the text of another message. Editors also indent with it.
func isCited(t html.Token) bool {
	return slices.ContainsFunc(t.Attr, func(a html.Attribute) bool {
		value := strings.ToLower(a.Val)
		return a.Key == "cite" || a.Key == "type" && value == "cite" ||
			(a.Key == "class" || a.Key == "id") && (strings.Contains(value, "quote") || strings.Contains(value, "cite")) ||
			a.Key == "style" && strings.Contains(value, "border-left")
	})
}

var (
	leftOut = map[string]bool{"blockquote": true, "style": true, "script": true, "title": true, "template": true}
	// Elements that begin on a line of their own.
	breaksLine = map[string]bool{"address": true, "article": true, "aside": true, "body": true, "caption": true,
		"center": true, "dd": true, "details": true, "dialog": true, "dir": true, "div": true, "dl": true, "dt": true,
		"fieldset": true, "figcaption": true, "figure": true, "footer": true, "form": true, "h1": true, "h2": true,
		"h3": true, "h4": true, "h5": true, "h6": true, "head": true, "header": true, "hgroup": true, "hr": true,
		"html": true, "legend": true, "li": true, "listing": true, "main": true, "menu": true, "nav": true, "ol": true,
		"option": true, "p": true, "pre": true, "section": true, "summary": true, "table": true, "tbody": true, "tfoot": true,
		"thead": true, "tr": true, "ul": true, "xmp": true}
)
