package holdstore

import (
	"crypto/sha256"
	"encoding/base64"
	"net/netip"
	"strings"
)

// Who somebody is, is compared byte by byte, but for the case of ASCII letters. Unicode folds further letters onto
// those ("ſ" onto "s", the Kelvin sign onto "k"), which would make one address of two that mail systems keep apart.

// Fold returns a login, an address or a domain with its ASCII letters in lower case.
func Fold(name string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, name)
}

// Same says whether two logins, addresses or domains are the same.
func Same(a, b string) bool {
	return len(a) == len(b) && Fold(a) == Fold(b)
}

// SameID says whether two Message-IDs are the same, with or without angle brackets. Gateways and mailbox servers
// compare them in any case: what one of them takes for a copy must be one here.
func SameID(a, b string) bool { return Same(strings.Trim(a, "<>"), strings.Trim(b, "<>")) }

// DomainOf is the domain of an address, folded.
func DomainOf(address string) string { return Fold(address[strings.LastIndexByte(address, '@')+1:]) }

// Addresses are some addresses, for looking up many.
type Addresses map[string]bool

// NewAddresses makes them of a list.
func NewAddresses(list []string) Addresses {
	all := make(Addresses, len(list))
	for _, address := range list {
		all[Fold(address)] = true
	}
	return all
}

// Has says whether an address is among them, in any case.
func (a Addresses) Has(address string) bool { return a[Fold(address)] }

// Digest is how a text is kept that is only compared, in any case.
func Digest(text string) string { return digest(text) }

const digestLen = 9 // bytes

// digest is short: it only has to tell what one recipient got, and matches are read, never sent.
func digest(text string) string {
	sum := sha256.Sum256([]byte(Fold(text)))
	return base64.RawStdEncoding.EncodeToString(sum[:digestLen])
}

// Digests are how texts are kept that are only compared, in any case.
func Digests(texts []string) (all []string) {
	for _, text := range texts {
		all = append(all, digest(text))
	}
	return all
}

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
