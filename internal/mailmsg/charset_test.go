package mailmsg

import (
	"encoding/base64"
	"strings"
	"testing"
)

// TestCharsets has a text in each charset that mail uses, under the names that programs give it.
func TestCharsets(t *testing.T) {
	for _, c := range []struct{ charsets, bytes, want string }{
		{"utf-8 UTF8 x-utf-8 cp65001 unicode-1-1-utf-8", "f\xc3\xbcr", "für"},
		{"us-ascii ascii ANSI_X3.4-1968 ISO646-US", "fur", "fur"},
		{"us-ascii ascii", "f\xc3\xbcr", "für"}, // mail that names the wrong one
		{"iso-8859-1 ISO8859_1 latin1 latin-1 \"latin1\" l1 iso_8859-1 windows-1252 cp1252 x-cp1252", "f\xfcr", "für"},
		{"iso-8859-2 latin2 windows-1250 cp1250", "Pawe\xb3", "Paweł"},
		{"iso-8859-3", "\xf8", "ĝ"},
		{"iso-8859-4", "\xfe\xba", "ūē"},
		{"iso-8859-10", "\xba", "š"},
		{"iso-8859-5", "\xb8\xd2\xd0\xdd", "Иван"},
		{"iso-8859-6", "\xc7", "ا"},
		{"iso-8859-7 windows-1253 greek", "\xe1\xe2", "αβ"},
		{"iso-8859-8 iso-8859-8-i iso-8859-8-e windows-1255 hebrew", "\xe0\xe1", "אב"},
		{"iso-8859-9 windows-1254 latin5", "\xfd\xfe", "ış"},
		{"iso-8859-13", "\xe0", "ą"},
		{"iso-8859-14", "\xa1", "Ḃ"},
		{"iso-8859-15 latin-9 iso8859-15", "\xa4", "€"},
		{"iso-8859-16", "\xa1", "Ą"},
		{"windows-1251 cp1251 x-cp1251", "\xc8\xe2\xe0\xed", "Иван"},
		{"windows-1256", "\xc7", "ا"},
		{"windows-1257", "\xe0", "ą"},
		{"windows-1258", "\xd0", "Đ"},
		{"windows-874 tis-620 iso-8859-11", "\xa1", "ก"},
		{"koi8-r koi8", "\xe9\xd7\xc1\xce", "Иван"},
		{"koi8-u", "\xa4", "є"},
		{"ibm866 cp866", "\x88", "И"},
		{"ibm437 cp437", "\x81", "ü"},
		{"ibm850 cp850", "\x81", "ü"},
		{"macintosh mac x-mac-roman macroman", "\x9f", "ü"},
		{"gb2312 GB_2312-80 gbk cp936 euc-cn gb18030 x-gbk", "\xd5\xc5\xc8\xfd", "张三"},
		{"gb18030", "\x95\x32\x82\x36", "𠀀"},
		{"hz-gb-2312", "~{UEH}~}", "张三"},
		{"big5 big5-hkscs x-x-big5 cp950", "\xa6\x5e\xa6\xac", "回收"},
		{"ks_c_5601-1987 euc-kr euckr uhc ks_c_5601-1989 korean windows-949 cp949 x-windows-949", "\xb1\xe8\xbf\xe5", "김욕"},
		{"iso-2022-kr", "\x1b$)C\x0e1h\x0f a", "김 a"},
		{"iso-2022-jp iso-2022-jp-2 iso-2022-jp-2004 cp50220 csISO2022JP", "\x1b$BEDCf\x1b(B a", "田中 a"},
		{"shift_jis sjis x-sjis cp932 windows-31j ms932", "\x93\x63\x92\x86", "田中"},
		{"euc-jp eucjp x-euc-jp", "\xc5\xc4\xc3\xe6", "田中"},
		{"utf-16le", "a\x00\xfc\x00", "aü"},
		{"utf-16be", "\x00a\x00\xfc", "aü"},
	} {
		for charset := range strings.FieldsSeq(c.charsets) {
			for _, name := range []string{charset, strings.ToUpper(charset), charset + "*de", " " + charset} {
				if got, known := Decode(name, []byte(c.bytes)); got != c.want || !known {
					t.Errorf("%s: %q is %q %v, want %q", name, c.bytes, got, known, c.want)
				}
			}
			word := "=?" + charset + "?B?" + base64.StdEncoding.EncodeToString([]byte(c.bytes)) + "?="
			if got := Text(word); got != c.want {
				t.Errorf("%s is %q, want %q", word, got, c.want)
			}
		}
	}
}

func TestUnknownCharsets(t *testing.T) {
	for _, charset := range []string{"", "unknown-8bit", "iso-2022-cn", "replacement", strings.Repeat("x", 1000), "*"} {
		if got, known := Decode(charset, []byte("f\xfcr")); got != "für" || known {
			t.Errorf("%.20q: %q %v", charset, got, known)
		}
	}
}

func TestDecodeCodepage(t *testing.T) {
	for codepage, want := range map[uint32]string{1252: "für", 28591: "für", 1251: "fьr", 0: "für", 65001: "für",
		9999: "für"} {
		if got := DecodeCodepage(codepage, []byte("f\xfcr")); got != want {
			t.Errorf("%d: %q, want %q", codepage, got, want)
		}
	}
}
