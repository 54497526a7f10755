package release

import (
	"bufio"
	"bytes"
)

// dotWriter doubles dots at the beginning of lines (RFC 5321 section 4.5.2) and changes nothing else. A bare LF counts
// as a line's end as well, since Postfix and Sendmail read it so: a dot behind it could end the message early. They
// take the doubled dot away again.
type dotWriter struct {
	to        *bufio.Writer
	lineStart bool // the next byte begins a line
	last      [2]byte
}

func (w *dotWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if w.lineStart && rest[0] == '.' {
			w.to.WriteByte('.')
		}
		n := bytes.IndexByte(rest, '\n') + 1
		if n == 0 {
			n = len(rest)
		}
		w.lineStart = rest[n-1] == '\n'
		if w.last[0] = w.last[1]; n > 1 {
			w.last[0] = rest[n-2]
		}
		w.last[1] = rest[n-1]
		if _, err := w.to.Write(rest[:n]); err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	return len(p), nil
}

// end writes the final dot, on a line of its own.
func (w *dotWriter) end() error {
	if w.last != [2]byte{'\r', '\n'} {
		w.to.WriteString("\r\n")
	}
	w.to.WriteString(".\r\n")
	return w.to.Flush()
}
