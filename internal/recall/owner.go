package recall

import "github.com/recall-milter/recall-milter/holdstore"

// Owns says whether the submitter of a message owns the address in its From: it is the envelope sender's, which the MTA
// has let them use, or their login. Another From is only what they typed.
func Owns(sub *holdstore.Submission) bool {
	return sub.Author == "" || holdstore.Same(sub.Author, sub.Sender.Address) || holdstore.Same(sub.Author, sub.Login)
}

// Submitter names who sent a message, for the audit trail, the rate, and what is remembered: the login, and without one
// the envelope sender and the relay.
func Submitter(sub holdstore.Submission) string {
	if sub.Login != "" {
		return "login " + holdstore.Fold(sub.Login)
	}
	return "<" + holdstore.Fold(sub.Sender.Address) + "> from " + sub.Client.Address
}
