package mailmsg

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
)

const (
	maxCharset = 64 // bytes of a charset's name; the longest registered one has 45
	maxTail    = 3  // bytes of a character that are left where a program has cut a text: GB18030 has up to four
)

// aliases are names that mail uses and that neither the WHATWG nor IANA lists.
var aliases = map[string]string{
	"cp932": "shift_jis", "ms932": "shift_jis", "cp936": "gbk", "euc-cn": "gbk", "cp949": "euc-kr", "ms949": "euc-kr",
	"cp950": "big5", "cp50220": "iso-2022-jp", "cp50221": "iso-2022-jp", "cp50222": "iso-2022-jp",
	"iso-2022-jp-1": "iso-2022-jp", "iso-2022-jp-2": "iso-2022-jp", "iso-2022-jp-3": "iso-2022-jp",
	"iso-2022-jp-ms": "iso-2022-jp", "iso-2022-jp-2004": "iso-2022-jp", "cp65001": "utf-8", "macroman": "macintosh",
	"uhc": "euc-kr", "eucjp": "euc-jp", "euckr": "euc-kr", "latin-1": "iso-8859-1",
}

// lookup returns the encoding of a charset's name, nil when there is none. Where a name stands for a part of a larger
// charset, as gb2312 for GBK and iso-8859-1 for windows-1252, the larger one is read, as mail programs do.
func lookup(charset string) encoding.Encoding {
	name := strings.ToLower(strings.Trim(charset, " \t\"'"))
	switch {
	case len(name) > maxCharset:
		return nil
	case name == "us-ascii", name == "ascii": // says nothing of other letters
		return unicode.UTF8
	}
	if name == "hz-gb-2312" {
		return simplifiedchinese.HZGB2312
	}
	for _, try := range []string{name, strings.TrimPrefix(name, "x-"), strings.ReplaceAll(name, "_", "-")} {
		if known, ok := aliases[try]; ok {
			try = known
		}
		// The WHATWG lists some charsets, such as ISO-2022-CN, only to have them replaced by one character for any
		// text.
		if e, err := htmlindex.Get(try); err == nil && e != encoding.Replacement {
			return e
		}
		if e, err := ianaindex.MIME.Encoding(try); err == nil && e != nil {
			return e
		}
	}
	return nil
}

// Decode returns a text in UTF-8. The charset is a name in any case, with or without a language (RFC 2231 section 5).
// It says false when nobody knows the charset; the text is then read as one without a charset: UTF-8 where it is valid.
//
// Different texts stay different: what is invalid in its charset is read byte by byte as windows-1252, instead of being
// replaced by one character for all. Otherwise two subjects in a wrong charset could be taken for the same.
func Decode(charset string, text []byte) (decoded string, known bool) {
	charset, _, _ = strings.Cut(charset, "*")
	if strings.EqualFold(strings.TrimSpace(charset), "iso-2022-kr") {
		charset, text = "euc-kr", unshift(text)
	}
	e := lookup(charset)
	if e == nil || e == unicode.UTF8 {
		return bytewise(text), e != nil
	}
	for tail := range min(maxTail, len(text)) + 1 {
		end := len(text) - tail
		out, err := e.NewDecoder().Bytes(text[:end])
		if err == nil && utf8.Valid(out) && !bytes.ContainsRune(out, utf8.RuneError) {
			return string(out) + bytewise(text[end:]), true
		}
	}
	return bytewise(text), true
}

// misnamed says whether a text can't be in the charset that it names: it is ASCII to look at, and would be something
// else, as with "utf-16" above a text of single bytes; or it has zeros, as with none above a text of two bytes each.
func misnamed(charset string, raw []byte, decoded string) bool {
	if strings.Contains(decoded, "\x00") {
		return true
	}
	name, _, _ := strings.Cut(strings.ToLower(charset), "*")
	isASCII := !slices.ContainsFunc(raw, func(c byte) bool { return c == 0 || c == 0x1b || c == 0x0e || c >= 0x7f })
	return isASCII && decoded != string(raw) && !strings.HasPrefix(strings.TrimSpace(name), "hz")
}

// bytewise reads each byte that is not part of valid UTF-8 as windows-1252.
func bytewise(text []byte) string {
	if utf8.Valid(text) {
		return string(text)
	}
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError && size == 1 {
			r = charmap.Windows1252.DecodeByte(text[0])
		}
		b.WriteRune(r)
		text = text[size:]
	}
	return b.String()
}

// unshift turns ISO-2022-KR into EUC-KR (RFC 1557): between the bytes SO and SI, each letter has lost its high bit.
func unshift(text []byte) []byte {
	const so, si = 0x0e, 0x0f
	text = slices.Clone(bytes.ReplaceAll(text, []byte("\x1b$)C"), nil))
	shifted := false
	for n, c := range text {
		switch {
		case c == so:
			shifted = true
		case c == si || c == '\n': // each line begins unshifted
			shifted = false
		case shifted && c > ' ' && c < 0x7f:
			text[n] = c | 0x80
		}
	}
	return slices.DeleteFunc(text, func(c byte) bool { return c == so || c == si })
}

// codepages are numbers that Windows programs give for a charset.
var codepages = map[uint32]string{
	874: "windows-874", 932: "shift_jis", 936: "gbk", 949: "euc-kr", 950: "big5", 54936: "gb18030",
	1250: "windows-1250", 1251: "windows-1251", 1252: "windows-1252", 1253: "windows-1253", 1254: "windows-1254",
	1255: "windows-1255", 1256: "windows-1256", 1257: "windows-1257", 1258: "windows-1258",
	20866: "koi8-r", 21866: "koi8-u", 20932: "euc-jp", 51932: "euc-jp", 51949: "euc-kr",
	28591: "iso-8859-1", 28592: "iso-8859-2", 28593: "iso-8859-3", 28594: "iso-8859-4", 28595: "iso-8859-5",
	28596: "iso-8859-6", 28597: "iso-8859-7", 28598: "iso-8859-8", 28599: "iso-8859-9", 28605: "iso-8859-15",
	50220: "iso-2022-jp", 50221: "iso-2022-jp", 50222: "iso-2022-jp", 50225: "iso-2022-kr", 65001: "utf-8",
}

// DecodeCodepage returns a text in a codepage of Windows in UTF-8, as Decode does with a charset.
func DecodeCodepage(codepage uint32, text []byte) string {
	decoded, _ := Decode(codepages[codepage], text)
	return decoded
}
