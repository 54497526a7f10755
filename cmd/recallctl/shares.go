package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
)

// sharesOf says for whom a recall with --only takes a message back, or has taken it, and who of the others gets it.
func (t *tally) sharesOf(h *holdstore.Hold) string {
	only := holdstore.NewAddresses(t.only)
	var out, get, have []string
	for n, r := range h.Recipients {
		o := h.Results[n]
		back := o.Outcome == holdstore.TakenBack || o.CutOff
		switch {
		case only.Has(r.Address) && (back || t.dryRun && o.Outcome == holdstore.Pending):
			out = append(out, r.Address)
		case o.Outcome == holdstore.Pending:
			get = append(get, r.Address)
		case !back && o.Outcome != holdstore.Failed:
			have = append(have, r.Address)
		}
	}
	words := []string{"taken back for " + names(out)}
	if len(get) > 0 {
		words = append(words, names(get)+" still "+oneOr(len(get), "gets it", "get it"))
	}
	if len(have) > 0 {
		words = append(words, names(have)+" "+oneOr(len(have), "has it already", "have it already"))
	}
	if len(get)+len(have) == 0 {
		words = append(words, "nobody gets it")
	}
	var strangers []string
	for _, address := range t.only {
		if !slices.ContainsFunc(h.Recipients, func(p holdstore.Path) bool { return holdstore.Same(p.Address, address) }) {
			strangers = append(strangers, address)
		}
	}
	if len(strangers) > 0 {
		words = append(words, names(strangers)+" "+oneOr(len(strangers), "is none of its recipients",
			"are none of its recipients"))
	}
	return strings.Join(words, "; ")
}

// forOnly are the words for the recipients of --only, with a blank before them; empty: it was not given.
func (a *act) forOnly() string {
	if len(a.only) == 0 {
		return ""
	}
	return " for " + strings.Join(a.only, ", ") + " only"
}

// takenOut says whether nobody of some recipients gets a message any more, because it was taken back for all of them.
func takenOut(h *holdstore.Hold, only []string) bool {
	wanted, all := holdstore.NewAddresses(only), false
	for n, r := range h.Recipients {
		if !wanted.Has(r.Address) {
			continue
		}
		if all = h.Results[n].Outcome == holdstore.TakenBack || h.Results[n].CutOff; !all {
			return false
		}
	}
	return all
}

// namesMost is how many addresses a line names.
const namesMost = 5

// names lists addresses for people.
func names(all []string) string {
	if more := len(all) - namesMost; more > 0 {
		return strings.Join(all[:namesMost], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(all, ", ")
}

func oneOr(n int, one, several string) string {
	if n == 1 {
		return one
	}
	return several
}
