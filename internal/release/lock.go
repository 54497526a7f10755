package release

import (
	"context"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/policy"
)

// lock returns the Cancel-Lock field for a message (RFC 8315), "" for one that must do without: our own mails, one that
// has such a field already, and one with a DKIM signature that forbids to add it.
func (l *Loop) lock(ctx context.Context, h *holdstore.Hold) (string, error) {
	if !l.o.CancelLock || h.MessageID == "" || h.Own() {
		return "", nil
	}
	header, err := l.store.Header(ctx, h)
	if err != nil {
		return "", err
	}
	found := fields(string(header))
	if policy.Signed(found, "Cancel-Lock") {
		return "", nil
	}
	for _, f := range found {
		if holdstore.Same(f.Name, "Cancel-Lock") {
			return "", nil
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
		return "", nil
	}
	return "Cancel-Lock: " + strings.Join(elements, "\r\n\t") + "\r\n", nil
}

// fields are the two kinds of fields of a held header block that decide about a lock, with their folds.
func fields(header string) (all []policy.Field) {
	for header != "" {
		end := endOfField(header)
		name, value, _ := strings.Cut(header[:end], ":")
		if name = strings.TrimRight(name, " \t"); holdstore.Same(name, "DKIM-Signature") ||
			holdstore.Same(name, "Cancel-Lock") {
			all = append(all, policy.Field{Name: name, Value: value})
		}
		header = header[end:]
	}
	return all
}

// endOfField is where the next field begins: at the first line that is no continuation.
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
