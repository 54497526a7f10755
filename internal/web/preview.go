package web

import (
	"context"
	"io"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
)

// preview is what the page shows of a message: only text.
type preview struct {
	Text        string
	Cut         bool // there is more
	Attachments []string
}

// previewBytes is how much of a message is read for it.
const previewBytes = 256 << 10

// preview reads the beginning of a message; nil: its content is not kept any more, or its key is not here.
func (s *Server) preview(ctx context.Context, h *holdstore.Hold) *preview {
	text, err := io.ReadAll(io.LimitReader(s.store.Content(ctx, h), previewBytes))
	if err != nil || len(text) == 0 {
		return nil
	}
	_, body, _ := strings.Cut(string(text), "\r\n\r\n")
	return &preview{Text: strings.ToValidUTF8(body, "\uFFFD"), Cut: len(text) == previewBytes}
}
