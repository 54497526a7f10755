package policy

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Only is what a command says of the recipients for whom alone it is.
type Only struct {
	Addresses []string // in the order in which they were written; none: for all
	Unclear   bool     // it names some in a way that can't be read: then it is for nobody
}

// With is what a command says that has another text as well: for all that either names.
func (o Only) With(other Only) Only {
	all := slices.Concat(o.Addresses, other.Addresses)
	return Only{all[:min(len(all), maxOnly+1)], o.Unclear || other.Unclear || len(all) > maxOnly}
}

// Said says whether a text has a list, whether it can be read or not.
func (o Only) Said() bool { return len(o.Addresses) > 0 || o.Unclear }

const (
	maxOnly  = 1000         // addresses of one command
	maxName  = 60           // bytes of a name that a line ends within
	maxItem  = 1000         // bytes of an address with its name
	maxItems = 10 * maxOnly // addresses that are read, and lines of lists: some come again, and some lists are none
)

// proseWords is with how many words next to its addresses a line is prose that begins with "only", and no list.
const proseWords = 4

// ReadOnly looks for ONLY and addresses at the beginning of lines. A list goes on over lines that end with a comma or
// hold nothing but addresses. Prose that begins with "only" is none. Several lists are one. What says in other words
// for whom alone a command is, above a signature, can't be read.
func ReadOnly(lines []string) Only { return readOnly(lines, prose{}) }

// ReadOnlySubject is ReadOnly for the subject of a reply, most of which is that of the message.
func ReadOnlySubject(subject string) Only {
	return readOnly([]string{subject}, prose{lines: earlyLines})
}

func readOnly(lines []string, p prose) (o Only) {
	looked := 0
	for n := 0; n < len(lines); n++ {
		line := narrow(Visible(lines[n]))
		keyword, rest, ok := cutOnly(line)
		if !ok {
			p.add(line)
			continue
		}
		addresses, used, fit := readList(rest, lines[n+1:])
		if looked += used; looked > maxItems {
			return Only{Unclear: true}
		}
		switch {
		case fit:
			o.Addresses = append(o.Addresses, addresses...)
			n += used - 1
			p.endParagraph()
		case isProse(keyword, rest):
			p.add(line)
		default:
			return Only{Unclear: true}
		}
		if len(o.Addresses) > maxOnly {
			return Only{Unclear: true}
		}
	}
	if p.endParagraph(); p.limits {
		return Only{Unclear: true}
	}
	return o
}

// ReadOnlyList reads what is after ONLY in a subject: nothing but a list.
func ReadOnlyList(text string) Only {
	addresses, _, fit := readList(behindFor(narrow(Visible(text))), nil)
	return Only{addresses, !fit || len(addresses) > maxOnly}
}

// CutOnly takes the word ONLY off the beginning of a text.
func CutOnly(text string) (rest string, ok bool) {
	_, rest, ok = cutOnly(narrow(Visible(text)))
	return rest, ok
}

// cutOnly takes it off a line. Programs write marks of bold text and punctuation around it; the keyword has a colon
// where it has punctuation behind it that prose has not.
func cutOnly(line string) (keyword, rest string, ok bool) {
	line = strings.TrimLeft(line, "-*_•([{\"'“„« ")
	const word = "only"
	if len(line) < len(word) || !equalFold(line[:len(word)], word) {
		return "", "", false
	}
	keyword, rest = line[:len(word)], strings.TrimLeft(line[len(word):], "*_”»“])}")
	list := strings.TrimLeft(rest, " :,.;=>-–—→*_")
	first, _ := utf8.DecodeRuneInString(rest)
	switch {
	case strings.HasPrefix(strings.TrimLeft(rest, " "), ":"):
		return keyword + ":", behindFor(list), true
	case rest == "", first == ' ', first == '<', first == '"':
		return keyword, behindFor(list), true
	case unicode.IsLetter(first), unicode.IsDigit(first), first == '@', !strings.Contains(rest, "@"):
		return "", "", false
	}
	return keyword + ":", behindFor(list), true
}

// behindFor takes "for" or "to" off what stands before an address.
func behindFor(list string) string {
	for _, word := range []string{"for ", "to "} {
		if len(list) > len(word) && equalFold(list[:len(word)], word) {
			if _, _, ok := readItem(list[len(word):]); ok {
				return list[len(word):]
			}
		}
	}
	return list
}

// isProse tells a sentence from a list that can't be read. A list that was meant has few words next to its addresses,
// or says ONLY as the manual does.
func isProse(keyword, rest string) bool {
	words, addresses := 0, 0
	for _, w := range strings.Fields(rest) {
		if strings.Contains(w, "@") {
			addresses++
		} else {
			words++
		}
	}
	marked := keyword == "ONLY" || strings.HasSuffix(keyword, ":")
	switch {
	case addresses > 0:
		return !marked && words >= proseWords
	case words == 0: // "ONLY", and nothing behind it
		return !marked
	}
	return !marked || words >= proseWords
}

// readList reads addresses from a line and from the beginning of those behind it, and says how many lines it took. fit:
// there are some, and nothing else is on these lines.
func readList(line string, behind []string) (addresses []string, used int, fit bool) {
	comma, held, before := false, "", "" // the line before ended with a comma, or within an item
	for ; ; line, behind = behind[0], behind[1:] {
		written := line
		line = strings.TrimLeft(narrow(Visible(line)), "-*•· ")
		if line == "" && held == "" && len(addresses) > 0 && !comma {
			break
		}
		found, left, more := readItems(strings.TrimSpace(held + " " + line))
		switch {
		case left != "" && len(found) == 0 && held == "" && len(addresses) > 0 && (!comma || before == ""):
			return addresses, used, true // other text: the list is complete
		case left != "" && !mayGoOn(left):
			return nil, used, false
		}
		if addresses = append(addresses, found...); len(addresses) > maxOnly {
			break
		}
		comma = more || comma && line == ""
		held, before = left, written
		if used++; len(behind) == 0 {
			break
		}
	}
	return addresses, used, len(addresses) > 0 && held == ""
}

// mayGoOn says whether the rest of a line may be the beginning of an item that the next line ends: the name before an
// address in angle brackets.
func mayGoOn(left string) bool {
	return len(left) <= maxName && (strings.HasPrefix(left, "\"") || !strings.ContainsAny(left, "@.!?"))
}

// readItems reads as many items as a line has: addresses, with a name or without, with anything between that people put
// there. left is what is none; comma: the line ends with one.
func readItems(line string) (addresses []string, left string, comma bool) {
	for items := 0; ; items++ {
		if line = strings.TrimLeft(line, " ,;、，；|+&"); len(addresses) > maxOnly {
			return addresses, "", false
		}
		for _, and := range []string{"and ", "und ", "et ", "y ", "e ", "en ", "og ", "och ", "i "} {
			if behind, ok := strings.CutPrefix(line, and); ok {
				line = strings.TrimSpace(behind)
			}
		}
		if strings.Trim(line, " .!)\"'") == "" {
			return addresses, "", comma
		}
		address, rest, ok := readItem(line)
		if !ok {
			return addresses, line, false
		}
		known := func(a string) bool { return equalFold(a, address) }
		if items > maxItems || !slices.ContainsFunc(addresses, known) { // so many of the same are not a list
			addresses = append(addresses, address)
		}
		rest = strings.TrimSpace(rest)
		comma = rest != "" && strings.Trim(rest, " ,;、，；|+&") == "" || rest == "and" || rest == "und"
		if line = rest; comma {
			return addresses, "", true
		}
	}
}

// readItem reads one address: a@b, <a@b>, "Name" <a@b>, Name <a@b>, a@b<mailto:a@b>, mailto:a@b, with punctuation
// behind.
func readItem(line string) (address, rest string, ok bool) {
	if open := strings.IndexByte(line[:min(len(line), maxItem)], '<'); open >= 0 && !strings.Contains(line[:open], "@") &&
		!strings.ContainsAny(unquoted(line[:open]), ",;") {
		end := strings.IndexByte(line[open:min(len(line), open+maxItem)], '>')
		if end < 0 {
			return "", line, false
		}
		address = strings.TrimPrefix(strings.TrimSpace(line[open+1:open+end]), "mailto:")
		return address, line[open+end+1:], isAddress(address)
	}
	end := strings.IndexAny(line, " ,;<[、，；|")
	if end < 0 {
		end = len(line)
	}
	address, rest = strings.Trim(line[:end], "\"'()."), line[end:]
	address = strings.TrimRight(strings.TrimPrefix(address, "mailto:"), ".!?:")
	for _, link := range [][2]string{{"<", ">"}, {"[", "]"}} { // a@b<mailto:a@b>
		if inside, ok := strings.CutPrefix(rest, link[0]); ok {
			to, behind, closed := strings.Cut(inside, link[1])
			if to, _, _ = strings.Cut(strings.TrimPrefix(to, "mailto:"), "?"); !closed || !equalFold(to, address) {
				return "", line, false
			}
			rest = behind
		}
	}
	return address, rest, isAddress(address)
}

// unquoted is a text without what is in quotes.
func unquoted(text string) string {
	var out []string
	for n, piece := range strings.Split(text, `"`) {
		if n%2 == 0 {
			out = append(out, piece)
		}
	}
	return strings.Join(out, "")
}

// isAddress says whether a word is a mail address, by its looks: matching it with a recipient comes later.
func isAddress(word string) bool {
	local, domain, ok := strings.Cut(word, "@")
	return ok && local != "" && domain != "" && len(word) <= 320 && !strings.ContainsAny(word, " \t\"<>()[],;:\\") &&
		!strings.Contains(domain, "@")
}
