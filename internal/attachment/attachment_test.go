package attachment

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"io"

	"github.com/recall-milter/recall-milter/policy"
)

// list reads a mail in two ways, whole and byte by byte, and fails where they differ.
func list(t testing.TB, contentType, body string) (names []string, whole bool) {
	t.Helper()
	header := []policy.Field{{Name: "Content-Type", Value: " " + contentType}}
	at, slow := New(header), New(header)
	at.Take([]byte(body))
	at.End()
	if _, err := io.Copy(slow, iotest.OneByteReader(strings.NewReader(body))); err != nil {
		t.Fatal(err)
	}
	slow.End()
	files, whole := at.Files()
	if again, w := slow.Files(); fmt.Sprint(again) != fmt.Sprint(files) || w != whole {
		t.Errorf("at once %v %v, byte by byte %v %v", files, whole, again, w)
	}
	for _, f := range files {
		names = append(names, strings.TrimSpace(f.Name+" "+f.Type)+map[bool]string{true: " in " + f.In}[f.In != ""])
	}
	return names, whole
}

// crlf is a body as it comes from the MTA.
func crlf(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n" }

// part is a part of the multipart "b".
func part(lines ...string) string { return crlf(append([]string{"--b"}, lines...)...) }

// file is a multipart of one part with these fields.
func file(fields ...string) string { return part(append(fields, "", "x")...) + end }

const end = "--b--\r\n"

// archive is a zip archive with empty files, in base64.
func archive(t testing.TB, names ...string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range names {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte("text of " + name))
	}
	z.Close()
	text := base64.StdEncoding.EncodeToString(b.Bytes())
	var lines []string
	for len(text) > 76 {
		lines, text = append(lines, text[:76]), text[76:]
	}
	return strings.Join(append(lines, text), "\r\n")
}

func TestFilesAreListed(t *testing.T) {
	t.Parallel()
	const mixed = `multipart/mixed; boundary="b"`
	zipPart := func(name string, files ...string) string {
		return part(`Content-Type: application/octet-stream; name="`+name+`"`, "Content-Transfer-Encoding: base64", "",
			archive(t, files...))
	}
	for name, c := range map[string]struct{ kind, body, want string }{
		"text alone":   {"text/plain", crlf("hello"), ""},
		"nothing said": {"", crlf("hello"), ""},
		"a file alone": {"application/pdf; name=a.pdf", crlf("x"), "a.pdf application/pdf"},
		"one file of two": {mixed,
			part("", "hello") + file("Content-Type: image/png; name=\"x y.png\""),
			"x y.png image/png"},
		"without a name":     {mixed, file("Content-Type: application/zip"), "application/zip"},
		"text as attachment": {mixed, file("Content-Disposition: attachment"), "text/plain"},
		"text inline":        {mixed, file("Content-Disposition: inline", "Content-Type: text/html"), ""},
		"two names": {mixed,
			file("Content-Type: image/png; name=a.png", "Content-Disposition: attachment; filename=b.exe"),
			"a.png image/png|b.exe image/png"},
		"two fields": {mixed,
			file("Content-Disposition: attachment; filename=a", "Content-Disposition: attachment; filename=b.exe"),
			"a text/plain|b.exe text/plain"},
		"two keys": {mixed,
			file("Content-Disposition: attachment; filename=a; filename=b.exe"),
			"a text/plain|b.exe text/plain"},
		"no quotes, blanks": {mixed,
			file("Content-Disposition: attachment; filename = my list.xlsx "),
			"my list.xlsx text/plain"},
		"no end of quotes": {mixed,
			file("Content-Disposition: attachment; filename=\"my list.xlsx"),
			"my list.xlsx text/plain"},
		"a quote within": {mixed,
			file(`Content-Disposition: attachment; filename="a\"; b.xlsx"; size=1`),
			`a"; b.xlsx text/plain`},
		"folded": {mixed,
			file("content-disposition:attachment;", "\tfilename=\"a.xlsx\""),
			"a.xlsx text/plain"},
		"encoded words": {mixed,
			file("Content-Type: application/x; name=\"=?utf-8?B?R2Vow6RsdGVyLnhsc3g=?=\""),
			"Gehälter.xlsx application/x"},
		"RFC 2231": {mixed,
			file("Content-Disposition: attachment; filename*=iso-8859-1'de'Geh%E4lter.xlsx"),
			"Gehälter.xlsx text/plain"},
		"RFC 2231, in pieces": {mixed,
			file("Content-Disposition: attachment; filename*1*=%B6.x; filename*0*=utf-8''a%C3; filename*2=lsx"),
			"aö.xlsx text/plain"},
		"nested": {mixed, part(`Content-Type: multipart/related; boundary=c`, "", "--c", "", "x", "--c",
			"Content-Type: image/gif; name=a.gif", "", "x", "--c--", "") +
			part("Content-Type: a/b; name=c", "", "") + end, "a.gif image/gif|c a/b"},
		"no end of the inner one": {mixed, part(`Content-Type: multipart/related; boundary=c`, "", "--c",
			"Content-Type: image/gif; name=a.gif", "", "x") +
			part("Content-Type: a/b; name=c", "", "") + end, "a.gif image/gif|c a/b"},
		"a message": {mixed, part("Content-Type: message/rfc822", "", "Subject: x",
			"Content-Type: application/pdf;", " name=a.pdf", "", "x") +
			part("Content-Type: a/b; name=c", "", "") + end, "message/rfc822|a.pdf application/pdf|c a/b"},
		"a digest": {"multipart/digest; boundary=b",
			file("", "Content-Type: a/b; name=c"),
			"message/rfc822|c a/b"},
		"an archive": {mixed, zipPart("q3.zip", "2026/Löhne.xlsx", "leer/", "b.txt") + end,
			"q3.zip application/octet-stream|Löhne.xlsx in q3.zip|b.txt in q3.zip"},
		"an archive by another name": {mixed,
			zipPart("q3.dat", "a.xlsx") + end,
			"q3.dat application/octet-stream|a.xlsx in q3.dat"},
		"a document": {mixed,
			zipPart("q3.docx", "word/document.xml") + end,
			"q3.docx application/octet-stream"},
		"uuencode": {"text/plain",
			crlf("see below", "begin 644 a b.xlsx", "M", "end", "begin 9 x", "begin 644"),
			"a b.xlsx in text/plain"},
		"uuencode as an encoding": {mixed,
			file("Content-Type: a/b; name=c", "Content-Transfer-Encoding: x-uuencode", "", "begin 644 d.xlsx"),
			"c a/b|d.xlsx in c"},
		"an international message": {mixed, part("Content-Type: message/global", "",
			"Content-Type: application/pdf; name=a.pdf", "", "x") + end, "message/global|a.pdf application/pdf"},
		"an archive of which only the directory has names": {mixed,
			part("Content-Type: a/b", "Content-Transfer-Encoding: Quoted-Printable", "",
				"PK=03=04"+strings.Repeat("=00", 26)+"PK=01=02"+strings.Repeat("=00", 24)+"=05=00"+
					strings.Repeat("=00", 16)+"a=2Etxt") + end,
			"a/b|a.txt in a/b"},
		"an archive with names of DOS": {mixed,
			part("Content-Type: a/b", "Content-Transfer-Encoding: Quoted-Printable", "",
				"PK=03=04"+strings.Repeat("=00", 22)+"=05=00=00=00=84=2Etxt") + end,
			"a/b|ä.txt in a/b"},
		"a delimiter within": {mixed,
			part("Content-Type: a/b; name=c", "", "--bc", "-- b", " --b", "--b--x") +
				part("Content-Type: a/b; name=d", "", "") + end,
			"c a/b|d a/b"},
		"a blank behind a delimiter": {mixed,
			"--b \t\r\nContent-Type: a/b; name=c\r\n\r\nx\r\n" + end,
			"c a/b"},
		"LF alone": {mixed,
			strings.ReplaceAll(part("Content-Type: a/b; name=c", "", "x")+end, "\r\n", "\n"),
			"c a/b"},
		"no header":      {mixed, "--b\r\n\r\nhello\r\n--b\r\nContent-Type: a/b; name=c\r\n" + end, ""},
		"no end":         {mixed, part("Content-Type: a/b; name=c", "", "x"), "c a/b"},
		"behind the end": {mixed, end + part("Content-Type: a/b; name=c", "", "x"), ""},
		"quoted-printable": {mixed,
			part("Content-Type: a/b", "Content-Transfer-Encoding: Quoted-Printable", "",
				"PK=03=04"+strings.Repeat("=00", 22)+"=", "=05=00=00=00a=2Etxt") + end,
			"a/b|a.txt in a/b"},
	} {
		got, whole := list(t, c.kind, c.body)
		if strings.Join(got, "|") != c.want || !whole {
			t.Errorf("%s: %q, want %q; whole: %v", name, got, c.want, whole)
		}
	}
}

// What is beyond a bound is not listed, and the list says so.
func TestBounds(t *testing.T) {
	t.Parallel()
	var deep, wide strings.Builder
	for n := range maxDepth + 5 {
		fmt.Fprintf(&deep, "--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n", n, n+1)
	}
	for n := range maxFiles + 5 {
		fmt.Fprintf(&wide, "--b0\r\nContent-Type: a/b; name=c%d\r\n\r\nx\r\n", n)
	}
	many := strings.Repeat("--b0\r\n\r\nx\r\n", maxParts+1)
	long := strings.Repeat("x", 3000)
	for name, c := range map[string]struct {
		body  string
		files int
		whole bool
	}{
		"depth": {deep.String(), 0, false},
		"files": {wide.String(), maxFiles, false},
		"parts": {many, 0, false},
		"a name in an archive": {"--b0\r\nContent-Type: a/b\r\n\r\nPK\x03\x04" + strings.Repeat("\x00", 22) + "\x01\x10" +
			strings.Repeat("\x00", 30) + "\r\n", 1, false},
		"a long line": {"--b0\r\nContent-Type: a/b; name=c\r\n\r\n" + long + "\r\n--b0--\r\n", 1, true},
		"a long name": {"--b0\r\nContent-Type: a/b; name=" + long + ".xlsx\r\n\r\nx\r\n--b0--\r\n", 1, true},
		"a long header": {"--b0\r\nX: " + strings.Repeat(long, 40) +
			"\r\nContent-Type: a/b; name=c\r\n\r\nx\r\n", 0, false},
		"another encoding": {"--b0\r\nContent-Transfer-Encoding: x-own\r\nContent-Type: a/b\r\n\r\nx\r\n", 1, false},
		"a broken winmail": {"--b0\r\nContent-Type: a/b\r\n\r\nx\x9f\x3e\x22\r\n", 1, true},
		"a winmail of dirt": {"--b0\r\nContent-Type: a/b\r\n\r\n\x78\x9f\x3e\x22" +
			strings.Repeat("a", 50) + "\r\n", 1, false},
	} {
		got, whole := list(t, "multipart/mixed; boundary=b0", c.body)
		if len(got) != c.files || whole != c.whole {
			t.Errorf("%s: %d files, whole %v", name, len(got), whole)
		}
		if name == "a long name" && !strings.HasSuffix(got[0], ".xlsx a/b") {
			t.Errorf("the end of a long name: %s", got[0])
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add("multipart/mixed; boundary=b", part("Content-Type: application/zip; name*0*=utf-8''a; name*1=b",
		"Content-Transfer-Encoding: base64", "", archive(f, "x.txt"))+end)
	f.Add("message/rfc822", "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: x\r\n\r\n")
	f.Add("application/ms-tnef", "\x78\x9f\x3e\x22\x01\x00\x02\x10\x80\x01\x00\x02\x00\x00\x00a\x00\x61\x00")
	f.Fuzz(func(t *testing.T, contentType, body string) {
		if len(body) < 100_000 {
			list(t, contentType, body)
		}
	})
}
