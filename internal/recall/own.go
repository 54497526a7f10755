package recall

import "strings"

// isOwn says whether the sender of a mail is one of our own people: they have a login, or are of a domain of the recall
// addresses. Others have asked us for nothing: a user's filter has passed their recall on, with their envelope sender.
// Where there is no recall address, only those count whose message was found.
func (d *Desk) isOwn(m *Mail, a *answer) bool {
	if m.Login != "" || len(d.o.Addresses) == 0 && len(a.done)+len(a.held) > 0 {
		return true
	}
	domain := DomainOf(m.Sender.Address)
	for _, a := range d.o.Addresses {
		ours := DomainOf(a)
		if domain == ours || strings.HasSuffix(domain, "."+ours) || strings.HasSuffix(ours, "."+domain) {
			return true
		}
	}
	return false
}
