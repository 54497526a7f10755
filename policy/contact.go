package policy

import (
	"slices"
	"strings"
)

// What Question.Map is where the memory of correspondents is asked, and not a socketmap.
const (
	WrittenTo   = "correspondents" // whether the sender has exchanged mail with the recipient; learning counts as yes
	DomainKnown = "domains"        // whether anybody here has written to the domain
)

// IfFirstContact asks whether there is an external recipient with whom the sender has not exchanged mail; with false,
// whether there is none.
func IfFirstContact(want bool) Condition {
	return memory("first_contact", want, func(p *Outbound, f *Facts) (answer, Mention) {
		result, by := no, Mention{}
		for _, to := range f.Recipients {
			if p.o.LocalDomains.Match(domainOf(to)) {
				continue
			}
			a, text := f.ask(Question{Map: WrittenTo, Key: lowered(to), Sender: lowered(f.Sender)})
			switch a {
			case no:
				return yes, Mention{Value: to}
			case unknown:
				result = unknown
			default:
				by.Value = text
			}
		}
		return result, by
	})
}

// IfLookalike asks whether there is an external recipient in a domain that resembles a local or a well-known one, and
// to which nobody has written; with false, whether there is none.
func IfLookalike(want bool) Condition {
	return memory("lookalike", want, func(p *Outbound, f *Facts) (answer, Mention) {
		result, by := no, Mention{}
		var seen []string
		for _, to := range f.Recipients {
			d := domainOf(to)
			if slices.Contains(seen, d) || p.o.LocalDomains.Match(d) {
				continue
			}
			seen = append(seen, d)
			other := p.likeness().of(d)
			if other == "" {
				continue
			}
			a, _ := f.ask(Question{Map: DomainKnown, Key: d})
			switch by.Value = d + " resembles " + other; a {
			case no:
				return yes, by
			case unknown:
				result = unknown
			default:
				by.Value += ", and is known"
			}
		}
		return result, by
	})
}

// memory is a condition that asks the memory of correspondents.
func memory(key string, want bool, holds func(*Outbound, *Facts) (answer, Mention)) Condition {
	if want {
		return Condition{key, AtHeaders, false, holds}
	}
	return Condition{"no " + key, AtHeaders, false, func(p *Outbound, f *Facts) (answer, Mention) {
		a, by := holds(p, f)
		return yes - a, by
	}}
}

func domainOf(address string) string { return lowered(address[strings.LastIndexByte(address, '@')+1:]) }
