package release

import (
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/policy"
)

// lock returns the Cancel-Lock field for a message (RFC 8315), "" for one that must do without: our own mails, one that
// has such a field already, and one with a DKIM signature that forbids to add it.
func (l *Loop) lock(h *holdstore.Hold, header []policy.Field) string {
	if !l.o.CancelLock || h.MessageID == "" || h.Own() {
		return ""
	}
	if policy.Signed(header, "Cancel-Lock") {
		return ""
	}
	for _, f := range header {
		if holdstore.Same(f.Name, "Cancel-Lock") {
			return ""
		}
	}
	var domains, elements []string
	for _, r := range h.Recipients {
		domains = append(domains, holdstore.DomainOf(r.Address))
	}
	for _, e := range l.marker.CancelLocks(h.ID, h.MessageID, domains) {
		elements = append(elements, e.String())
	}
	if elements == nil { // there is no secret yet
		return ""
	}
	return "Cancel-Lock: " + strings.Join(elements, "\r\n\t") + "\r\n"
}

// fields are those of a held header block, with their folds.
func fields(header string) (all []policy.Field) {
	for header != "" {
		end := endOfField(header)
		name, value, _ := strings.Cut(header[:end], ":")
		all = append(all, policy.Field{Name: strings.TrimRight(name, " \t"), Value: value})
		header = header[end:]
	}
	return all
}

// endOfField is where the next field begins: at the first line that is not a continuation.
func endOfField(header string) int {
	end := 0
	for {
		n := strings.IndexByte(header[end:], '\n')
		if n < 0 {
			return len(header)
		}
		if end += n + 1; end == len(header) || header[end] != ' ' && header[end] != '\t' {
			return end
		}
	}
}
