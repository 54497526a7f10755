package inbound

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/outlook"
)

// A winmail.dat of a recall says one sentence to people. A page, a link or a long text in it is more than a recall,
// which Outlook would show in place of the mail's own text.
func TestAWinmailWithMoreThanASentenceIsNoRecall(t *testing.T) {
	const sentence = "Anna would like to recall the message, \"prices\".\r\n\x00"
	utf16 := strings.Join(strings.Split(sentence, ""), "\x00") + "\x00"
	long := strings.Repeat("x", 1<<10+1)
	file := func(properties ...[]byte) *outlook.TNEF {
		return outlook.NewTNEF().Attribute(0x00078008, []byte("IPM.Outlook.Recall\x00")).Attribute(0x00069003,
			outlook.Properties(properties...))
	}
	property := func(kind, id uint16, value string) *outlook.TNEF {
		return file(outlook.Property(kind, id, outlook.Variable([]byte(value))))
	}
	for name, c := range map[string]struct {
		file *outlook.TNEF
		more bool
	}{
		"a sentence":             {property(0x001E, 0x1000, sentence), false},
		"a sentence in UTF-16":   {property(0x001F, 0x1000, utf16), false},
		"a sentence as RTF":      {property(0x0102, 0x1009, strings.Repeat("\x01", 400)), false},
		"a link":                 {property(0x001E, 0x1000, "see http://evil.test/"), true},
		"a link in UTF-16":       {property(0x001F, 0x1000, "h\x00t\x00t\x00p\x00:\x00/\x00/\x00e\x00"), true},
		"a link in an attribute": {file().Attribute(0x0002800C, []byte("see www.evil.test")), true},
		"a program":              {property(0x001E, 0x1000, "powershell -c x"), true},
		"a page":                 {property(0x0102, 0x1013, "<p>"), true},
		"a long RTF":             {property(0x0102, 0x1009, long), true},
		"a long text":            {property(0x001E, 0x1000, strings.Repeat("word ", 500)), true},
	} {
		mail := "Content-Type: application/ms-tnef\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
			base64.StdEncoding.EncodeToString(c.file.Bytes())
		if got := carries(arriving(mail)); got != c.more {
			t.Errorf("%s: it carries more: %v", name, got)
		}
	}
}
