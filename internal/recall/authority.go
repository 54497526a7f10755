package recall

import (
	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/policy"
)

// refuses says why the submitter of a command may not recall a hold; empty: they may. Nothing that they typed counts
// behind a login; a relay without one vouches for the envelope sender of what it sends.
func (d *Desk) refuses(by *holdstore.Submission, h *holdstore.Hold, rule policy.Rule) string {
	switch {
	case h.Proven() != nil: // whose it is was perhaps written by somebody else
		return unproven
	case by.Login != "" && rule.Delegates.Match(by.Login):
		return ""
	case by.Login != "" && holdstore.Same(by.Login, h.Login) && !d.sameSubmitter(by, &h.Submission):
		return "it was sent with this login, but from another address. Ask from that address"
	case !d.sameSubmitter(by, &h.Submission):
		return "it was not sent with the login that asks for it"
	case rule.NoRecall:
		return "mail of the rule " + rule.Name + " can't be recalled by its sender"
	}
	return ""
}

// unproven is why nothing is done, or told, on account of a record that nothing proves.
const unproven = "the gateway can't prove whose message this is. It is not sent as it is; ask your administrator"

// provable leaves the holds whose records prove themselves.
func provable(all []*holdstore.Hold) (some []*holdstore.Hold) {
	for _, h := range all {
		if h.Proven() == nil {
			some = append(some, h)
		}
	}
	return some
}

// sameSubmitter says whether two messages come from the same person. A login may be shared by many, as that of a
// groupware server which relays for all its users: then login and envelope sender tell together. Without a login it is
// the relay and the envelope sender.
func (d *Desk) sameSubmitter(a, b *holdstore.Submission) bool {
	same := a.Sender.Address != "" && holdstore.Same(a.Sender.Address, b.Sender.Address)
	switch {
	case !holdstore.Same(a.Login, b.Login):
		return false
	case a.Login == "":
		return same && a.Client.Address == b.Client.Address
	}
	return same || d.personal(a.Login)
}

// personal says whether a login belongs to one person, who may have several addresses. Only the config can say so:
// behind a login that many share, everybody may type an envelope sender that looks like the login.
func (d *Desk) personal(login string) bool { return login != "" && d.o.PersonalLogins.Match(login) }

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
