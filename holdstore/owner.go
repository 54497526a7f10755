package holdstore

import (
	"net/netip"
	"strings"
)

// Whose a message is, and on whose quota it counts.

// owners are the names that a submission is found by: its login, and its sender unless the login tells the same.
func (sub *Submission) owners() []string {
	for _, name := range names(sub.Sender.Address) {
		if Same(name, sub.Login) {
			return []string{sub.Login}
		}
	}
	return []string{sub.Sender.Address, sub.Login}
}

// names are those that a sender's mail may be listed under: the address, and the part before the @, which is the
// login at many sites.
func names(sender string) []string {
	if at := strings.LastIndexByte(sender, '@'); at > 0 {
		return []string{sender, sender[:at]}
	}
	return []string{sender}
}

// submitterOf names who submits a message: nobody else's is taken for it tried again. Without a login that is the
// client, whose envelope sender anybody behind another client can type.
func submitterOf(sub *Submission) []string {
	if sub.Login != "" {
		return []string{sub.Login}
	}
	return []string{"", sub.Client.Address}
}

// ownerOf names who is charged for a hold; "": nobody, it is a mail of the gateway. An IPv6 client counts as the
// network that one machine easily has; all programs on the gateway itself are one client.
func ownerOf(sub *Submission, t Terms) string {
	switch {
	case t.Rule == OwnMailRule:
		return ""
	case sub.Login != "":
		return "l" + digest(sub.Login) + behind(sub)
	}
	return "c" + digest(machine(sub.Client.Address)) + behind(sub)
}

// Asker names whose requests those for a hold are, when askers take turns: the login or client that sent it.
func (h *Hold) Asker() string {
	owner, _, _ := strings.Cut(ownerOf(&h.Submission, h.Terms), "@")
	return owner
}

// behind names the sender behind an owner; "": there is none.
func behind(sub *Submission) string {
	if sub.Sender.Address == "" {
		return ""
	}
	return "@" + digest(sub.Sender.Address)
}

// machine is a client's address, or its /64.
func machine(client string) string {
	a, err := netip.ParseAddr(client)
	if err != nil {
		return client
	}
	if a = a.Unmap().WithZone(""); a.Is4() {
		return a.String()
	}
	network, _ := a.Prefix(64)
	return network.String()
}

// Whose says whose messages a search wants: those of a login, with a Sender only those that it sent as that address;
// without a login those of an envelope sender, from one client (an IP address); with AnyLogin all of an
// envelope sender.
type Whose struct {
	Login, Sender, Client string
	AnyLogin              bool
}

// sent says whether somebody sent a hold.
func (w Whose) sent(h *Hold) bool {
	if w.AnyLogin {
		return Same(h.Sender.Address, w.Sender)
	}
	return Same(h.Login, w.Login) && (w.Sender == "" || Same(h.Sender.Address, w.Sender))
}

// charged says whether somebody is charged for a hold, by its field o: this tells whose it is without its record.
func (w Whose) charged(o string) bool {
	if w.AnyLogin {
		return true
	}
	owner, _, _ := strings.Cut(o, " ")
	if w.Sender == "" {
		owner, _, _ = strings.Cut(owner, "@")
	}
	sub := Submission{Login: w.Login, Sender: Path{Address: w.Sender}, Client: Client{Address: w.Client}}
	return owner == ownerOf(&sub, Terms{})
}
