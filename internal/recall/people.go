package recall

import (
	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
)

// automatic says why a mail was not written by a person, so that it is no command; empty: it was.
func automatic(m *Mail) string {
	if m.Sender.Address == "" {
		return "null sender"
	}
	return m.Automatic()
}

// notOwn says why a mail is not its envelope sender's own, so that what it says of recalls has no effect on their mail:
// a stranger's mail that a filter passes on keeps the stranger's From. Empty: it is. The MTA writes a From that is
// missing.
func notOwn(m *Mail) string {
	if why := automatic(m); why != "" {
		return why
	}
	if m.Has("X-Recall-Policy") {
		return "it has come in by a gateway"
	}
	from := 0
	for _, f := range m.Fields {
		if !f.Is("From") {
			continue
		}
		address, err := mailmsg.Address(f.Value)
		if from++; from > 1 || err != nil || !holdstore.Same(address, m.Sender.Address) {
			return "From is not the envelope sender"
		}
	}
	return ""
}
