package recall

import (
	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/authenticate"
	"github.com/recall-milter/recall-milter/policy"
)

// People tells a site's own people from others. Others have asked us for nothing: a user's filter has passed their mail
// on, with their envelope sender, and so no report goes to them.
type People struct {
	Domains   policy.Patterns // that the site says are its own
	Addresses []string        // for recall commands
}

// Has says whether the sender of a message is one of them: they have a login, or their domain is a listed one, or
// belongs to the organisation of a recall address or of the gateway.
func (p People) Has(sub *holdstore.Submission) bool {
	domain := holdstore.DomainOf(sub.Sender.Address)
	switch {
	case sub.Login != "" || p.Domains.Match(domain):
		return true
	case domain == "":
		return false
	}
	organisation := authenticate.Organisation(domain)
	for _, a := range p.Addresses {
		if authenticate.Organisation(holdstore.DomainOf(a)) == organisation {
			return true
		}
	}
	return authenticate.Organisation(holdstore.Fold(sub.Gateway)) == organisation
}
