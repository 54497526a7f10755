package mailmsg

import (
	"strings"
	"testing"
)

// TestRestFindsFurtherPartsOfTheMailItself cuts each body everywhere, and gives it in pieces.
func TestRestFindsFurtherPartsOfTheMailItself(t *testing.T) {
	const kind = "multipart/mixed; boundary=\"b b\""
	for body, want := range map[string]bool{
		"in a file\r\n--b b--\r\n":                                 false,
		"in a file\r\n--b b\r\nContent-Type: x\r\n":                true,
		"in a file\r\n--b b \t\r\n":                                true,
		"in a file\n--b b\n":                                       true,
		"in a file\r\n --b b\r\n":                                  false,
		"in a file\r\n--b bb\r\n--b\r\n--b b-\r\n-- b b\r\n":       false,
		"in a file\r\n--b b--\r\n--b b\r\n":                        false, // behind the end
		"in a file " + strings.Repeat("x", 500) + "--b b\r\n--b b": false, // no line, and one that does not end
		strings.Repeat("x", 500) + "\r\n--b b\r\n":                 true,
		"--b b" + strings.Repeat(" ", 500) + "x\r\n--b b\r\n":      true,
		"--b b" + strings.Repeat(" ", 500) + "x\r\n":               false,
		"": false,
	} {
		for cut := range len(body) + 1 {
			for _, size := range []int{1, 3, 1000} {
				if before := body[:cut]; strings.Contains(before, "\n--b b") {
					continue // what is known is read elsewhere
				}
				r := NewPartSearch(kind, []byte(body[:cut]))
				for rest := body[cut:]; rest != ""; rest = rest[min(size, len(rest)):] {
					r.Skip([]byte(rest[:min(size, len(rest))]))
				}
				if r.GoesOn() != want {
					t.Fatalf("%q, cut at %d, by %d: %v", body, cut, size, r.GoesOn())
				}
			}
		}
	}
	for _, none := range []string{"", "text/plain", "multipart/mixed", "multipart/mixed; boundary=\"",
		"message/rfc822; boundary=x"} {
		if NewPartSearch(none, nil) != nil {
			t.Errorf("%q has parts", none)
		}
	}
}
