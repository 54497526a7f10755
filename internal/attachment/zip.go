package attachment

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"github.com/recall-milter/recall-milter/internal/mailmsg"
)

// zipped lists the names in a zip archive as it passes (APPNOTE.TXT sections 4.3.7 and 4.3.12). A name is both in
// front of its file and in the directory at the end; the two can differ, so both are taken.
type zipped struct {
	add func(name, kind string)
	cut func() // something is not listed

	rest []byte // of a header that is not all there yet
}

// headers of a zip archive: where the length of the name is, and where the name begins.
var headers = map[string]struct{ length, name int }{"PK\x03\x04": {26, 30}, "PK\x01\x02": {28, 46}}

// maxZipName is longer than what any file system takes, with folders.
const maxZipName = 4 << 10

func (z *zipped) Write(data []byte) {
	if len(z.rest) > 0 {
		data = append(z.rest, data...)
	}
	for {
		n := bytes.IndexByte(data, 'P')
		if n < 0 {
			data = nil
			break
		}
		data = data[n:]
		if len(data) < 4 {
			break
		}
		h, ok := headers[string(data[:4])]
		if !ok {
			data = data[1:]
			continue
		}
		if len(data) < h.name {
			break
		}
		length := int(binary.LittleEndian.Uint16(data[h.length:]))
		if length == 0 || length > maxZipName {
			if length > maxZipName {
				z.cut()
			}
			data = data[4:]
			continue
		}
		if len(data) < h.name+length {
			break
		}
		z.name(data[h.name : h.name+length])
		data = data[4:] // also what looks like a header inside of it
	}
	z.rest = append([]byte(nil), data...)
}

// name lists the last part of a path; a folder is no file.
func (z *zipped) name(raw []byte) {
	if bytes.ContainsFunc(raw, func(c rune) bool { return c < ' ' }) {
		return // bytes of a file that look like a header
	}
	text := string(raw)
	if !utf8.Valid(raw) {
		text, _ = mailmsg.Decode("ibm437", raw) // section 4.4.4, bit 11
	}
	if text = text[strings.LastIndexAny(text, `/\`)+1:]; text != "" {
		z.add(text, "")
	}
}

// uuencoded lists the names of files in a plain text, as old programs attach them: "begin 644 NAME".
type uuencoded struct {
	add  func(name, kind string)
	line []byte
}

func (u *uuencoded) Write(data []byte) {
	for piece := range bytes.Lines(data) {
		if u.line = append(u.line, piece[:min(len(piece), maxLine-len(u.line))]...); piece[len(piece)-1] != '\n' {
			continue
		}
		words := strings.SplitN(strings.TrimRight(string(u.line), "\r\n"), " ", 3)
		u.line = u.line[:0]
		if len(words) == 3 && words[0] == "begin" && len(words[1]) >= 3 && len(words[1]) <= 4 &&
			strings.Trim(words[1], "01234567") == "" {
			u.add(strings.TrimSpace(words[2]), "")
		}
	}
}
