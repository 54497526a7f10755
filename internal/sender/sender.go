// Package sender says who sent a message: a person, by what the MTA proved of them, and whether they are one of the
// site's own people. Nothing that a sender typed counts.
package sender

import (
	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/authenticate"
	"github.com/recall-milter/recall-milter/policy"
)

// Site tells a site's own people from others. Others have asked us for nothing: a user's filter has passed their mail
// on, with their envelope sender, and so no report goes to them.
type Site struct {
	Domains   policy.Patterns // that the site says are its own
	Addresses []string        // for recall commands
}

// Has says whether the sender of a message is one of them: they have a login, or their domain is a listed one, or
// belongs to the organisation of a recall address or of the gateway.
func (s Site) Has(sub *holdstore.Submission) bool {
	domain := holdstore.DomainOf(sub.Sender.Address)
	switch {
	case sub.Login != "" || s.Domains.Match(domain):
		return true
	case domain == "":
		return false
	}
	organisation := authenticate.Organisation(domain)
	for _, a := range s.Addresses {
		if authenticate.Organisation(holdstore.DomainOf(a)) == organisation {
			return true
		}
	}
	return authenticate.Organisation(holdstore.Fold(sub.Gateway)) == organisation
}

// Owns says whether the submitter of a message owns the address in its From: it is the envelope sender's, which the MTA
// has let them use, or their login. Another From is only what they typed.
func Owns(sub *holdstore.Submission) bool {
	return sub.Author == "" || holdstore.Same(sub.Author, sub.Sender.Address) || holdstore.Same(sub.Author, sub.Login)
}

// Name names who sent a message, for the audit trail, the rate, and what is remembered: the login, and without one
// the envelope sender and the relay, which mail of the gateway itself has not.
func Name(sub holdstore.Submission) string {
	address := "<" + holdstore.Fold(sub.Sender.Address) + ">"
	switch {
	case sub.Login != "":
		return "login " + holdstore.Fold(sub.Login)
	case sub.Client.Address == "":
		return address
	}
	return address + " from " + sub.Client.Address
}
