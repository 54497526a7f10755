package retraction

import (
	"context"
	"slices"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
)

// WouldAsk lists the domains whose gateways RequestRetraction would ask now about a hold, or says why it would ask
// nobody. It changes nothing, and needs no secret.
func (x *Retractor) WouldAsk(ctx context.Context, h *holdstore.Hold, only []string) (domains []string, why string,
	err error) {
	switch {
	case h.State == holdstore.Held:
		return nil, "the rest of the message is still held; they can be asked once it is released", nil
	case h.State != holdstore.Released:
		return nil, "it is being sent at this moment", nil
	case !x.o.Ask:
		return nil, `recall.after_release is "report"`, nil
	case h.Own() || h.Sender.Address == "":
		return nil, "it has the null sender, or is a mail of the gateway", nil
	case h.MessageID == "":
		return nil, "it has no Message-ID", nil
	}
	if err := h.Proven(); err != nil {
		return nil, err.Error(), nil
	}
	all := x.unnamed(h, only, "")
	if len(all) == 0 {
		return nil, x.noneLeft(h, only), nil
	}
	if why, _, err := x.speaksForOthers(ctx, h); why != "" || err != nil {
		return nil, why, err
	}
	for _, q := range all {
		domains = append(domains, q.Domain)
	}
	return domains, "", nil
}

// noneLeft says why no recipient is left whose gateway could be asked.
func (x *Retractor) noneLeft(h *holdstore.Hold, only []string) string {
	var asked []string
	wanted, sent := holdstore.NewAddresses(only), false
	for n, r := range h.Recipients {
		if only != nil && !wanted.Has(r.Address) {
			continue
		}
		sent = sent || h.Results[n].Outcome == holdstore.Sent
		if d := holdstore.DomainOf(r.Address); h.Results[n].Outcome == holdstore.Requested && !slices.Contains(asked, d) {
			asked = append(asked, d)
		}
	}
	switch {
	case len(asked) > 0:
		return "asked before: " + strings.Join(asked, ", ")
	case sent:
		return "recall.request_domains leaves out the domains of its recipients"
	}
	return "no recipient has it, or all have answered"
}
