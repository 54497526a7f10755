package web

import (
	"slices"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/sender"
)

// mayUndo says whether somebody may undo the recall of a message. An operator may have stopped it for a reason that
// its sender doesn't know, so everybody else undoes only what they have recalled themselves, or the sender has.
func (c *caller) mayUndo(h *holdstore.Hold) bool {
	if c.Operator {
		return true
	}
	own := []string{person(c.name), sender.Name(h.Submission), "<" + holdstore.Fold(h.Sender.Address) + ">",
		linkName(h.ID)}
	for _, by := range recallers(h) {
		if !slices.Contains(own, person(by)) {
			return false
		}
	}
	return true
}

// recallers are those who have recalled a message, or a part of its recipients, since it was last restored.
func recallers(h *holdstore.Hold) (all []string) {
	for _, e := range h.Timeline {
		switch e.Verb {
		case "recalled":
			all = append(all, e.By)
		case "restored":
			all = nil
		}
	}
	return all
}

// tokenFor stands in the name of a caller between a token and the login for which it acts.
const tokenFor = " for "

// person is the name of a caller without the token that acts for them.
func person(name string) string {
	if _, login, ok := strings.Cut(name, tokenFor); ok && strings.HasPrefix(name, "token ") {
		return login
	}
	return name
}

// linkName is the name of whoever has the link to a message.
func linkName(id string) string { return "the link of " + id }
