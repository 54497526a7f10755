package recall

import (
	"slices"
	"strings"
	"testing"
)

// ONLY counts wherever a program puts the text: a recall that is for some never becomes one for all.
func TestOnlyCountsInEachTextOfAMail(t *testing.T) {
	const head = "Subject: RECALL <one@corp.test>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
	mail := func(parts ...string) *Mail {
		return arriving(head + "--b\r\n" + strings.Join(parts, "\r\n--b\r\n") + "\r\n--b--\r\n")
	}
	text := func(words string) string { return "Content-Type: text/plain\r\n\r\n" + words }
	const file = "Content-Type: application/pdf; name=x.pdf\r\n\r\n%PDF"
	const quoted = "ONLY c@x.test\r\n\r\n-----Original Message-----\r\nONLY d@x.test\r\n"
	cut := mail(file)
	cut.Cut = true
	emptyAndCut := mail(text(""), file)
	emptyAndCut.Cut = true
	for name, c := range map[string]struct {
		mail    *Mail
		only    []string
		unclear bool
	}{
		"above a file":                           {mail(text("ONLY b@x.test"), file), []string{"b@x.test"}, false},
		"behind a file":                          {mail(text("please"), file, text("ONLY b@x.test")), []string{"b@x.test"}, false},
		"behind a file, and a page":              {mail("Content-Type: text/html\r\n\r\n<p>please", file, "Content-Type: text/html\r\n\r\n<p>ONLY b@x.test"), []string{"b@x.test"}, false},
		"in a file":                              {mail(text("please"), "Content-Type: text/plain; name=x.txt\r\n\r\nONLY b@x.test"), nil, false},
		"in both":                                {mail(text(quoted), file, text("ONLY b@x.test")), []string{"c@x.test", "b@x.test"}, false},
		"unclear behind a file":                  {mail(text("please"), file, text("ONLY: bob")), nil, true},
		"no text before the end of what is read": {cut, nil, true},
		"an empty one before the end of what is": {emptyAndCut, nil, false},
	} {
		got := (&Desk{}).meaning(c.mail)
		if !slices.Equal(got.only, c.only) || (got.unclear != "") != c.unclear || !slices.Equal(got.refs, []string{"<one@corp.test>"}) {
			t.Errorf("%s: %q %q, only %q", name, got.refs, got.unclear, got.only)
		}
	}
}
