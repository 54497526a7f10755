package mailmsg

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/recall-milter/recall-milter/test/server"
)

// TestText has the encoded words that mail programs write, by who writes them or what is wrong with them.
func TestText(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"plain", "hello", "hello"},
		{"nothing", "", ""},
		{"folded", "one\r\n two\r\n\tthree", "one two three"},
		{"white space", " a \t b\u00a0c\u3000d ", "a b c d"},
		{"utf-8", "=?UTF-8?B?w4RsaWNl?=", "Älice"},
		{"between words", "=?utf-8?q?f=C3=BCr?= alle", "für alle"},
		{"next to other text", "a=?utf-8?q?=C3=BC?=b <=?utf-8?q?=C3=BC?=>", "aüb <ü>"},
		{"two words", "=?utf-8?q?one_?=\r\n =?utf-8?q?two?=", "one two"},
		{"two words without a blank between", "=?utf-8?q?one?==?utf-8?q?two?=", "onetwo"},
		{"two charsets", "=?utf-8?q?=C3=A9?= =?koi8-r?B?6dfBzg==?=", "éИван"},
		{"cut inside a character, base64", "=?utf-8?B?5LyY?= =?utf-8?B?5Q==?= =?utf-8?B?hYg=?=", "优先"},
		{"cut inside a character, quoted", "=?utf-8?Q?=E4=BC?=\r\n =?utf-8?Q?=98?=", "优"},
		{"cut inside a character, one of each", "=?utf-8?Q?=E4=BC?= =?utf-8?B?mA==?=", "优"},
		{"cut inside a character, gb2312", "=?gb2312?B?1cU=?= =?gb2312?B?yA==?= =?gb2312?B?/Q==?=", "张三"},
		{"cut inside a group of base64", "=?utf-8?B?5LyY5?= =?utf-8?B?YWI?=", "优先"},
		{"cut at the end", "=?gb18030?B?1cXI?=", "张È"},
		{"iso-2022-jp that does not return to ASCII", "=?iso-2022-jp?B?GyRCRURDZg==?= x", "田中 x"},
		{"blanks in base64", "=?utf-8?B?w4Rs aWNl?=", "Älice"},
		{"blanks in quoted", "=?utf-8?Q?J=C3=B6rg Maier?=", "Jörg Maier"},
		{"no padding", "=?utf-8?B?w4RsaWNlcw?=", "Älices"},
		{"language", "=?iso-8859-1*de-CH?Q?J=F6rg?=", "Jörg"},
		{"two languages of one charset", "=?utf-8*en?Q?a?= =?utf-8*de?Q?b?=", "ab"},
		{"quoted that begins with a code", "=?utf-8?Q?=C3=BC?=", "ü"},
		{"a line break inside", "=?utf-8?Q?a=0D=0ABcc:_x?=", "a Bcc: x"},
		{"unknown charset", "=?nocharset?q?x?= y", "=?nocharset?q?x?= y"},
		{"unknown charset, two words", "=?nocharset?q?x?=\r\n =?nocharset?q?y?=", "=?nocharset?q?x?= =?nocharset?q?y?="},
		{"not a word", "=?utf-8?x?y?= =? ?= =?=", "=?utf-8?x?y?= =? ?= =?="},
		{"a word that never ends", "=?utf-8?q?x", "=?utf-8?q?x"},
		{"only a beginning before a word", "=? =?utf-8?q?=C3=BC?=", "=? ü"},
		{"not encoded, UTF-8", "Jörg", "Jörg"},
		{"not encoded, windows-1252", "J\xf6rg", "Jörg"},
		{"no hexadecimal digits", "=?utf-8?Q?a=zz=4?=", "a=zz=4"},
	} {
		if got := Text(c.value); got != c.want {
			t.Errorf("%s: %q is %q, want %q", c.name, c.value, got, c.want)
		}
	}
}

// TestDifferentFieldsStayDifferent has pairs that a decoder which replaces what it can't read would make equal.
func TestDifferentFieldsStayDifferent(t *testing.T) {
	for _, pair := range [][2]string{
		{"\xb1\xa8\xbc\xdb", "\xba\xcf\xcd\xac"}, // two words of GB2312 that nothing names
		{"=?utf-8?B?saG82w==?=", "=?utf-8?B?us/NrA==?="},
		{"=?iso-2022-jp?Q?=FE=FE?=", "=?iso-2022-jp?Q?=FD=FD?="},
		{"=?big5?Q?=FF?=", "=?big5?Q?=FE?="},
		{"=?iso-2022-cn?Q?a?=", "=?iso-2022-cn?Q?b?="},
		{"=?unknown-8bit?Q?=E4?=", "=?unknown-8bit?Q?=F6?="},
	} {
		if a, b := Text(pair[0]), Text(pair[1]); a == b {
			t.Errorf("%q and %q are both %q", pair[0], pair[1], a)
		}
	}
}

// TestLongHostileFieldsAreReadInLinearTime reads fields that a scanner which goes back takes far longer for.
func TestLongHostileFieldsAreReadInLinearTime(t *testing.T) {
	for _, piece := range []string{"=?", "?=", "=?utf-8?q?", "=?utf-8?b?A?= ", "=?utf-8?q?=E4?=", "=?x?q?y?= ", "=?=?=",
		"\xff", "=?utf-8?q?x?= a ", "=?utf-8?b?5LyY5?= ", "=?x?q?y "} {
		long := strings.Repeat(piece, 2*MaxField/len(piece))
		if got := Text(long); len(got) > 3*MaxField {
			t.Errorf("%q repeated: %d bytes", piece, len(got))
		}
		for _, end := range []string{"", "?="} {
			server.Linear(t, piece+" again and again, "+end, func(part int) func() {
				field := long[:MaxField/part-len(end)] + end
				return func() {
					for range 10 { // one is read in less time than can be measured well
						Text(field)
					}
				}
			})
		}
	}
}

func TestShorten(t *testing.T) {
	for most, want := range []string{"", "a", "a", "aü", "aüb", "aüb"} {
		if got := Shorten("aüb", most); got != want {
			t.Errorf("to %d bytes: %q, want %q", most, got, want)
		}
	}
}

func TestEncodeIsWhatTextReads(t *testing.T) {
	for _, want := range []string{"", "plain", "für alle", strings.TrimSpace(strings.Repeat("優先 ", 100))} {
		field := Encode(want)
		if got := Text(field); got != want {
			t.Errorf("%q: %q", field, got)
		}
		for line := range strings.SplitSeq(field, "\r\n") {
			if len(line) > 78 {
				t.Errorf("a line of %d bytes: %q", len(line), line)
			}
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("=?utf-8?B?5LyY5?= =?gb2312?q?=D5=C5?= \xff=?x?q?")
	f.Fuzz(func(t *testing.T, value string) {
		got := Text(value)
		if !utf8.ValidString(got) || len(got) > 8*len(value)+8 {
			t.Errorf("%q: %q", value, got)
		}
		if strings.ContainsAny(got, "\r\n\t") {
			t.Errorf("%q is not on one line: %q", value, got)
		}
		Addresses(value)
	})
}

func ExampleText() {
	fmt.Println(Text("=?windows-1252?Q?Preisliste_f=FCr_?=\r\n =?koi8-r?B?6dfBzg==?="))
	// Output: Preisliste für Иван
}
