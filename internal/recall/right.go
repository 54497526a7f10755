package recall

import (
	"slices"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/policy"
)

// Whose right it is to recall a message.

// refused says why the submitter may not recall a hold, which a rule held; empty: they may. Delegates come first, so
// they may also recall what its sender may not (NoRecall).
func (s *submitter) refused(h *holdstore.Hold, rule policy.Rule) string {
	switch {
	case h.Proven() != nil: // whose it is was perhaps written by somebody else
		return unproven
	case rule.Delegates.Names(s.Login):
		return ""
	case s.Login != "" && holdstore.Same(s.Login, h.Login) && !s.sent(h):
		return "it was sent with this login, but from another address. Ask from that address"
	case s.Login == "" && !s.sent(h):
		return "without a login, only the address and the client that sent it can ask for it"
	case !s.sent(h):
		return "it was not sent with the login that asks for it"
	case rule.NoRecall:
		return "mail of the rule " + rule.Name + " can't be recalled by its sender"
	}
	return ""
}

// unproven is why nothing is done, or told, on account of a record that nothing proves.
const unproven = "the gateway can't prove whose message this is. It is not sent as it is; ask your administrator"

// Sees says whether a hold is one of those that a person may see: their own, and those of the rules that name them as a
// delegate. The gateway's own mails are nobody's.
func (d *Desk) Sees(p Person, h *holdstore.Hold) bool {
	rule := d.rule(h.Rule)
	rule.NoRecall = false
	return d.refusesPerson(p, h, rule) == ""
}

// Refuses says why a person may not act on a hold that they see: recall it, send it now, keep it for longer, restore
// it; empty: they may.
func (d *Desk) Refuses(p Person, h *holdstore.Hold) string {
	return d.refusesPerson(p, h, d.rule(h.Rule))
}

func (d *Desk) refusesPerson(p Person, h *holdstore.Hold, rule policy.Rule) (why string) {
	why = "it was not sent from an address that you have proven"
	if h.Own() {
		return "it is a mail of the gateway"
	}
	if p.Operator {
		return ""
	}
	if p.Login != "" {
		// A sign-in proves the login itself. By mail, only the envelope sender tells those apart who share one.
		by := h.Submission
		by.Login = p.Login
		submitter := d.submitter(&by)
		if why = submitter.refused(h, rule); why == "" {
			return ""
		}
	}
	ownAddress := func(a string) bool { return a != "" && holdstore.Same(a, h.Sender.Address) }
	if p.Hold == h.ID || slices.ContainsFunc(p.Addresses, ownAddress) {
		rule.Delegates = nil // for logins that are proven
		submitter := d.submitter(&h.Submission)
		return submitter.refused(h, rule)
	}
	return why
}
