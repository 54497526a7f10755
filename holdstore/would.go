package holdstore

// Would says how an action would end for a hold as it was read: with nil, or the error of the act. It is for people who
// only look: the hold can change meanwhile, and whether the content of a recalled one is still kept is not known. It
// foretells what takeback.lua decides, and WouldRecallOnly what recallonly.lua does: a change there belongs here too.
func (d Action) Would(h *Hold) error {
	switch {
	case d.script == restoreScript && h.State == Recalled, d.script == dueScript && h.State == Held:
		return nil
	case d.script == restoreScript, h.State == Recalled:
		return outcome(string(h.State), h.ID)
	case d.script == dueScript || h.State != Held:
		return outcome("late", h.ID)
	}
	pending, sent := 0, false
	for _, r := range h.Results {
		sent = sent || r.Outcome == Sent
		if r.Outcome == Pending {
			pending++
		}
	}
	switch {
	case pending == 0:
		return outcome("late", h.ID)
	case sent:
		return outcome("partly", h.ID)
	}
	return nil
}

// WouldRecallOnly is Would for RecallOnly.
func WouldRecallOnly(h *Hold, addresses []string) error {
	wanted := NewAddresses(addresses)
	word := "none"
	for n, r := range h.Recipients {
		if !wanted.Has(r.Address) {
			continue
		}
		switch o := h.Results[n].Outcome; {
		case h.State == Held && o == Pending:
			return nil
		case h.State == Recalled || h.State == Held && h.Results[n].back():
			word = string(Recalled)
		case word == "none":
			word = "late"
		}
	}
	if word == "none" {
		return notAddressed(h, addresses)
	}
	return outcome(word, h.ID)
}
