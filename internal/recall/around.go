package recall

import (
	"bytes"
	"regexp"
	"strings"
)

// coded finds a parameter of RFC 2231, in another charset or in pieces. Not every program reads these, and of those that do
// not all know every charset: two programs may see two boundaries, or one of them a file name.
var coded = regexp.MustCompile(`;[^;="]*\*[^;="]*=`)

// maxPreamble is how many bytes may stand before the first part, where some programs say that the mail has parts.
const maxPreamble = 400

// bareAround says whether there is nothing before and behind the parts of a multipart but a short text before them. Readers
// of parts skip these areas (RFC 2046 section 5.1.1); others look for files in them, or see other parts there.
func bareAround(body []byte, boundary string) bool {
	lines := bytes.Split(body, []byte("\n"))
	delimiter := func(n int, end string) bool {
		return string(bytes.TrimRight(lines[n], " \t\r")) == "--"+boundary+end
	}
	first := 0
	for first < len(lines) && !delimiter(first, "") {
		first++
	}
	last := first
	for last < len(lines) && !delimiter(last, "--") {
		last++
	}
	preamble := string(bytes.Join(lines[:first], []byte("\n")))
	behind := bytes.Join(lines[min(last+1, len(lines)):], nil)
	return len(preamble) <= maxPreamble && isProse(preamble) && !strings.Contains("\n"+preamble, "\n--") && len(bytes.TrimSpace(behind)) == 0
}
