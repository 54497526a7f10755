package recall

import (
	"cmp"
	"net/netip"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/sender"
)

// submitter is who a command comes from, as far as the session proves it. Nothing that they typed counts behind a
// login; a relay without one vouches for the envelope sender of what it sends.
type submitter struct {
	*holdstore.Submission
	personal bool            // the login belongs to one person, who may have several addresses
	whose    holdstore.Whose // their messages, for the store
	name     string          // one sender, as sent tells them apart, for the rate
	office   string          // what many senders may be behind, a client or a login; empty: the login is personal
	actor    holdstore.Actor // the submitter, for the audit trail
	ours     bool            // one of the site's own people
}

// submitter says who sent a mail. Only the config can say that a login belongs to one person: behind a login that many
// share, everybody may type an envelope sender that looks like the login.
func (d *Desk) submitter(sub *holdstore.Submission) submitter {
	s := submitter{Submission: sub, personal: d.o.PersonalLogins.Names(sub.Login), ours: d.o.People.Has(sub)}
	s.actor = holdstore.Actor{By: sender.Name(*sub),
		From: "mail from " + cmp.Or(sub.Client.Address, "sendmail on the gateway")}
	address := sub.Sender.Address
	switch {
	case s.personal:
		s.name, s.whose = "login "+sub.Login, holdstore.Whose{Login: sub.Login}
		return s
	case sub.Login != "":
		s.office, s.name = "login "+sub.Login, "login "+sub.Login+" sender "+address
	default:
		s.office = "client " + ClientNetwork(sub.Client.Address)
		s.name = "client " + sub.Client.Address + " sender " + address
	}
	s.whose = holdstore.Whose{Login: sub.Login, Sender: address, Client: sub.Client.Address}
	return s
}

// sent says whether a hold comes from the same person. A login may be shared by many, as that of a groupware server
// which relays for all its users: then login and envelope sender tell together. Without a login it is the relay and the
// envelope sender.
func (s *submitter) sent(h *holdstore.Hold) bool {
	same := s.Sender.Address != "" && holdstore.Same(s.Sender.Address, h.Sender.Address)
	switch {
	case !holdstore.Same(s.Login, h.Login):
		return false
	case s.Login == "":
		return same && s.Client.Address == h.Client.Address
	}
	return same || s.personal
}

// ClientNetwork is a client's address, or for IPv6 the network that one machine easily has.
func ClientNetwork(client string) string {
	a, err := netip.ParseAddr(client)
	if err != nil || a.Unmap().Is4() {
		return client
	}
	network, _ := a.WithZone("").Prefix(64)
	return network.String()
}
