package attachment

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/recall-milter/recall-milter/internal/outlook/tnef"
	"github.com/recall-milter/recall-milter/policy"
)

// content is the content of a leaf that may list files of its own.
type content struct {
	reader *Reader
	head   head
	decode func(*content, []byte) // gives take what is behind the transfer encoding

	quad   []byte // base64: letters that wait for others; quoted-printable: the present line
	start  []byte // of the content, until it is known what it is
	lister lister
	done   bool // nothing in it is of use
}

// lister finds names in a content.
type lister interface{ Write(data []byte) }

// sniffed is how many bytes tell what a content is.
const sniffed = 4

// newContent returns nil where nothing in it can be a file.
func newContent(r *Reader, h head) *content {
	c := &content{reader: r, head: h}
	switch {
	case h.encoding == "base64":
		c.decode = (*content).base64
	case h.encoding == "quoted-printable":
		c.decode = (*content).quoted
	case h.encoding == "x-uuencode" || h.plain() && strings.HasPrefix(h.kind, "text/"):
		c.decode, c.lister = (*content).take, &uuencoded{add: c.add}
	case h.plain():
		c.decode = (*content).take
	default:
		r.partial = true
		return nil
	}
	return c
}

func (c *content) write(data []byte) {
	if c != nil && !c.done && len(data) > 0 {
		c.decode(c, data)
	}
}

func (c *content) close() {
	if c != nil && len(c.quad) > 0 && c.head.encoding == "quoted-printable" {
		c.quoted([]byte("\n"))
	}
}

// add lists a file that is in this one.
func (c *content) add(name, kind string) {
	c.reader.add(policy.File{Name: name, Type: kind, In: cmpName(c.head)})
}

func cmpName(h head) string {
	if len(h.names) > 0 {
		return h.names[len(h.names)-1]
	}
	return h.kind
}

// take takes decoded content.
func (c *content) take(data []byte) {
	if c.lister == nil {
		c.start = append(c.start, data...)
		if len(c.start) < sniffed {
			return
		}
		data = c.start
		switch {
		case bytes.HasPrefix(data, []byte("PK\x03\x04")) && !c.isDocument():
			c.lister = &zipped{add: c.add, cut: func() { c.reader.partial = true }}
		case tnef.Is(data):
			c.lister = tnef.NewNames(c.add, func() { c.reader.partial = true })
		default:
			c.done, c.start = true, nil
			return
		}
	}
	c.lister.Write(data)
	c.start = nil
}

// isDocument says of a zip archive whether it is a document of an office program, or a program: what is in it are no
// files to its reader.
func (c *content) isDocument() bool {
	for _, name := range c.head.names {
		ext := strings.ToLower(name[strings.LastIndexByte(name, '.')+1:])
		if documents[ext] {
			return true
		}
	}
	return strings.HasPrefix(c.head.kind, "application/vnd.openxmlformats") ||
		strings.HasPrefix(c.head.kind, "application/vnd.oasis.opendocument")
}

// documents are the extensions of formats that are zip archives inside.
var documents = map[string]bool{"docx": true, "docm": true, "dotx": true, "dotm": true, "xlsx": true, "xlsm": true,
	"xlsb": true, "xltx": true, "xltm": true, "pptx": true, "pptm": true, "ppsx": true, "potx": true, "vsdx": true,
	"odt": true, "ods": true, "odp": true, "odg": true, "ott": true, "pages": true, "numbers": true, "key": true,
	"epub": true, "jar": true, "war": true, "apk": true, "xpi": true}

// base64 decodes letters in groups of four; all others are skipped, and padding ends a run, as mail programs do.
func (c *content) base64(data []byte) {
	letters := make([]byte, 0, len(c.quad)+len(data))
	letters = append(letters, c.quad...)
	for _, b := range data {
		if isBase64[b] {
			letters = append(letters, b)
		}
	}
	whole := len(letters) &^ 3
	out := make([]byte, base64.RawStdEncoding.DecodedLen(whole))
	n, _ := base64.RawStdEncoding.Decode(out, letters[:whole]) // they are all letters
	c.quad = append(c.quad[:0], letters[whole:]...)
	if n > 0 {
		c.take(out[:n])
	}
}

var isBase64 = func() (is [256]bool) {
	for _, b := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		is[b] = true
	}
	return is
}()

// quoted decodes quoted-printable; what is wrong stays as it is.
func (c *content) quoted(data []byte) {
	c.quad = append(c.quad, data...)
	for {
		n := bytes.IndexByte(c.quad, '\n') + 1
		if n == 0 && len(c.quad) < maxLine {
			return
		}
		if n == 0 {
			n = len(c.quad)
		}
		line := bytes.TrimRight(c.quad[:n], "\r\n")
		soft := bytes.HasSuffix(line, []byte("="))
		out := make([]byte, 0, n)
		for i := 0; i < len(line); i++ {
			if line[i] != '=' || i+2 >= len(line) {
				if line[i] != '=' {
					out = append(out, line[i])
				}
				continue
			}
			if b := unhex(line[i+1])<<4 | unhex(line[i+2]); b < 0x100 {
				out = append(out, byte(b))
				i += 2
			}
		}
		if !soft {
			out = append(out, c.quad[len(line):n]...)
		}
		c.quad = append(c.quad[:0], c.quad[n:]...)
		if len(out) > 0 && !c.done {
			c.take(out)
		}
		if len(c.quad) == 0 {
			return
		}
	}
}

// unhex is the value of a digit; more than 0xff shifted or not: it is none.
func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	}
	return 0x1000
}
