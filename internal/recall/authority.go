package recall

import (
	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/policy"
)

// refuses says why the submitter of a command may not recall a hold; empty: he may. Nothing that he typed counts
// behind a login; a relay without one vouches for the envelope sender of what it sends.
func refuses(by *holdstore.Submission, h *holdstore.Hold, rule policy.Rule) string {
	switch {
	case by.Login != "" && rule.Delegates.Match(by.Login):
		return ""
	case !sameSubmitter(by, &h.Submission):
		return "it was not sent with the login that asks for it"
	case rule.NoRecall:
		return "mail of the rule " + rule.Name + " can't be recalled by its sender"
	}
	return ""
}

// sameSubmitter says whether two messages come from the same login, or both without one from the same relay with the
// same envelope sender.
func sameSubmitter(a, b *holdstore.Submission) bool {
	if a.Login != "" || b.Login != "" {
		return holdstore.Same(a.Login, b.Login)
	}
	return a.Client.Address == b.Client.Address && a.Sender.Address != "" && holdstore.Same(a.Sender.Address, b.Sender.Address)
}

// by names the submitter, for the audit trail and the rate.
func by(sub holdstore.Submission) string {
	if sub.Login != "" {
		return "login " + holdstore.Fold(sub.Login)
	}
	return "<" + holdstore.Fold(sub.Sender.Address) + "> from " + sub.Client.Address
}
