package web

import (
	"bufio"
	"context"
	"io"
	"net/textproto"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/sanitize"
)

// preview is what the page shows of a message: its plain text and the names of its attachments. Nothing of it is HTML,
// and nothing is loaded from elsewhere.
type preview struct {
	Text        string
	Cut         bool // there is more
	Attachments []string
}

// Bounds of a preview.
const (
	previewBytes = 1 << 20  // of the message that are read
	previewText  = 64 << 10 // of its text that are shown
	previewNames = 50
)

// preview reads the beginning of a message; nil: its content is not kept any more, or its key is not here.
func (s *Server) preview(ctx context.Context, h *holdstore.Hold) *preview {
	text, err := io.ReadAll(io.LimitReader(s.store.Content(ctx, h), previewBytes))
	if err != nil || len(text) == 0 {
		return nil
	}
	header, body, _ := strings.Cut(string(text), "\r\n\r\n")
	// Where a line of the header can't be read, the fields before it tell.
	fields, _ := textproto.NewReader(bufio.NewReader(strings.NewReader(header + "\r\n\r\n"))).ReadMIMEHeader()
	p := &preview{Cut: len(text) == previewBytes}
	mailmsg.Parts(mailmsg.EntityHeader{ContentType: fields.Get("Content-Type"),
		Encoding: fields.Get("Content-Transfer-Encoding"), Disposition: fields.Get("Content-Disposition")}, []byte(body),
		func(part mailmsg.Part) bool {
			switch {
			case part.Kind == "text/plain" && part.Inline:
				p.Text += part.Text
			case part.Name != "" && len(p.Attachments) < previewNames:
				p.Attachments = append(p.Attachments, sanitize.HeaderValue(part.Name))
			}
			return len(p.Text) < previewText
		})
	if len(p.Text) > previewText {
		p.Text, p.Cut = p.Text[:previewText], true
	}
	p.Text = strings.TrimSpace(strings.ToValidUTF8(p.Text, "\uFFFD"))
	return p
}
