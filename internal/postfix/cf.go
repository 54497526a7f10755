package postfix

import (
	"slices"
	"strings"
)

// cf is the text of main.cf or master.cf, cut into logical lines (postconf(5), master(5)). It is edited without
// changing anything between the edits.
type cf struct {
	master bool
	lines  []logical
}

// logical is a line with its continuations and the comments inside them. Of a comment or an empty line the key is "".
type logical struct {
	key, text string // "smtpd_milters", or "submission/inet"
}

// readCF reads a file of Postfix by its name, "main.cf" or "master.cf".
func readCF(name, text string) *cf {
	c := &cf{master: name == "master.cf"}
	between := 0 // lines behind the last logical line that belong to it if a continuation follows
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "" || trimmed[0] == '#':
			c.lines = append(c.lines, logical{text: line})
			between++
		case strings.ContainsAny(line[:1], " \t") && len(c.lines) > between:
			owner := len(c.lines) - between - 1
			for _, l := range c.lines[owner+1:] {
				c.lines[owner].text += l.text
			}
			c.lines[owner].text += line
			c.lines, between = c.lines[:owner+1], 0
		default:
			c.lines = append(c.lines, logical{c.key(line), line})
			between = 0
		}
	}
	return c
}

func (c *cf) key(line string) string {
	if f := strings.Fields(line); c.master && len(f) > 1 {
		return f[0] + "/" + f[1]
	}
	name, _, _ := strings.Cut(line, "=")
	return strings.TrimSpace(name)
}

func (c *cf) String() string {
	var b strings.Builder
	for _, l := range c.lines {
		b.WriteString(l.text)
	}
	return b.String()
}

// all returns the text of every line of a key: Postfix uses the last one of a parameter.
func (c *cf) all(key string) (text string) {
	for _, l := range c.lines {
		if l.key == key {
			text += l.text
		}
	}
	return text
}

// keys returns every key once, in the order of the file.
func (c *cf) keys() (keys []string) {
	for _, l := range c.lines {
		if l.key != "" && !slices.Contains(keys, l.key) {
			keys = append(keys, l.key)
		}
	}
	return keys
}

// put replaces what a key has by text; "" removes it. A new key comes behind the last line of another key, or at the
// end.
func (c *cf) put(key, text, behind string) {
	first := slices.IndexFunc(c.lines, func(l logical) bool { return l.key == key })
	if first < 0 && text == "" {
		return
	}
	if first < 0 {
		first = len(c.lines)
		for n, l := range c.lines {
			if behind != "" && l.key == behind {
				first = n + 1
			}
		}
		if first > 0 && !strings.HasSuffix(c.lines[first-1].text, "\n") {
			c.lines[first-1].text += "\n"
		}
		c.lines = slices.Insert(c.lines, first, logical{key, text})
		return
	}
	c.lines[first].text = text
	kept := c.lines[:first+1]
	for _, l := range c.lines[first+1:] {
		if l.key != key {
			kept = append(kept, l)
		}
	}
	if c.lines = kept; text == "" {
		c.lines = slices.Delete(c.lines, first, first+1)
	}
}

// comments returns the comments and empty lines inside a logical line.
func comments(text string) (lines []string) {
	for line := range strings.Lines(text) {
		if t := strings.TrimSpace(line); t == "" || t[0] == '#' {
			lines = append(lines, line)
		}
	}
	return lines
}

// bare is a logical line without the comments inside.
func bare(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if t := strings.TrimSpace(line); t != "" && t[0] != '#' {
			b.WriteString(line)
		}
	}
	return b.String()
}

// setting is one value that a logical line has: the only one of main.cf, or an option -o of a service.
type setting struct {
	name, value string
	begin, end  int // of an option: where it is in the bare text of the line
}

// values reads the settings of a line.
func (c *cf) values(text string) (all []setting) {
	if !c.master {
		// of a parameter that is there twice the last counts
		for _, l := range slices.Backward(readCF("main.cf", text).lines) {
			if name, value, _ := strings.Cut(bare(l.text), "="); l.key != "" {
				return []setting{{name: strings.TrimSpace(name), value: folded(value)}}
			}
		}
		return nil
	}
	text = bare(text)
	words := words(text)
	for n := 8; n < len(words); n++ {
		from, option := words[n], words[n]
		body, attached := strings.CutPrefix(option.value, "-o")
		if !attached {
			continue
		}
		if body == "" {
			if n++; n == len(words) {
				break
			}
			option = words[n]
			body = option.value
		}
		if inner, braced := strings.CutPrefix(body, "{"); braced {
			body = strings.TrimSuffix(inner, "}")
		}
		name, value, _ := strings.Cut(body, "=")
		all = append(all, setting{strings.TrimSpace(name), folded(value), from.begin, option.end})
	}
	return all
}

// words divides at blanks that are not in braces.
func words(text string) (all []setting) {
	depth, begin := 0, -1
	for at, c := range text + " " {
		switch blank := strings.ContainsRune(" \t\r\n", c); {
		case blank && depth == 0 && begin >= 0:
			all = append(all, setting{value: text[begin:at], begin: begin, end: at})
			begin = -1
		case blank:
		case begin < 0:
			begin = at
			fallthrough
		default:
			if c == '{' {
				depth++
			} else if c == '}' && depth > 0 {
				depth--
			}
		}
	}
	return all
}

// folded is a value with its lines joined.
func folded(value string) string { return strings.Join(strings.Fields(value), " ") }

// value returns a setting of a line; ok: the line has it.
func (c *cf) value(text, name string) (value string, ok bool) {
	for _, s := range c.values(text) {
		if s.name == name {
			value, ok = s.value, true // the last one counts
		}
	}
	return value, ok
}

// with returns a line in which a setting has another value, or with remove is gone. What else the line has stays as it
// is.
func (c *cf) with(text, name, value string, remove bool) string {
	if !c.master {
		if remove {
			return ""
		}
		return strings.TrimRight(name+" = "+value, " ") + "\n"
	}
	option := "-o " + name + "=" + Compact(value)
	text = bare(text)
	found := false
	for _, s := range slices.Backward(c.values(text)) {
		switch {
		case s.name != name:
		case remove:
			text = strings.TrimRight(text[:s.begin], " \t\r\n") + text[s.end:]
		default:
			text, found = text[:s.begin]+option+text[s.end:], true
		}
	}
	if !found && !remove {
		text = strings.TrimRight(text, "\r\n") + "\n    " + option + "\n"
	}
	return text
}
