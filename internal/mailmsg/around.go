package mailmsg

import (
	"bytes"
	"regexp"
	"strings"
)

// coded finds a parameter of RFC 2231, in another charset or in pieces. Not every program reads these, and of those
// that do not all know every charset: two programs may see two boundaries, or one of them a file name.
var coded = regexp.MustCompile(`;[^;="]*\*[^;="]*=`)

// maxAround is how many bytes may stand before the first part, where some programs say that the mail has parts, and as
// many behind the last, where lists put a footer.
const maxAround = 1000

// around returns the text before and behind the parts of a multipart, and says whether it is nothing but a short text.
// Readers of parts skip these areas (RFC 2046 section 5.1.1); others look for files in them, or see other parts there.
func around(body []byte, boundary string) (text string, bare bool) {
	lines := bytes.Split(body, []byte("\n"))
	find := func(from int, delimiter string) int {
		for ; from < len(lines) && string(bytes.TrimRight(lines[from], " \t\r")) != delimiter; from++ {
		}
		return from
	}
	first := find(0, "--"+boundary)
	last := min(find(first, "--"+boundary+"--")+1, len(lines))
	before, behind := lines[:first], lines[last:]
	return string(bytes.Join(before, []byte("\n"))) + "\n\n" + string(bytes.Join(behind, []byte("\n"))),
		isAside(before, boundary) && isAside(behind, boundary)
}

// isAside says whether lines are a short text without parts.
func isAside(lines [][]byte, boundary string) bool {
	text := string(bytes.Join(lines, []byte("\n")))
	for line := range strings.Lines(text) {
		rule := strings.Trim(line, "-_ \t\r\n") == ""
		if strings.HasPrefix(line, "--"+boundary) || strings.HasPrefix(line, "--") && !rule {
			return false
		}
	}
	return len(text) <= maxAround && IsProse(text)
}
