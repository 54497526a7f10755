package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/retraction"
	"github.com/recall-milter/recall-milter/internal/wiring"
)

// ask asks the gateways of those who got a message that was recalled too late, and says whom; empty: nobody. Unlike the
// desk, recallctl waits for nothing that is just being sent: it is too late at once, and nobody is asked for it.
func (a *act) ask(ctx context.Context, id string, by holdstore.Actor) (string, error) {
	for _, key := range []string{"recall", "secret_file", "release"} {
		if a.ignores(key) {
			return "", usage("the config has an error in %s", key)
		}
	}
	x, err := a.retractor(ctx)
	if err != nil {
		return "", err
	}
	h, answerBy, err := x.RequestRetraction(ctx, id, a.only, by)
	if err != nil {
		return "", err
	}
	var domains []string
	for n, r := range h.Results {
		if d := holdstore.DomainOf(h.Recipients[n].Address); r.Outcome == holdstore.Requested &&
			!strings.Contains(" "+strings.Join(domains, " ")+" ", " "+d+" ") {
			domains = append(domains, d)
		}
	}
	if len(domains) == 0 {
		return "", nil
	}
	if answerBy.IsZero() {
		return "asked before: " + strings.Join(domains, ", "), nil
	}
	a.acted(h, "request")
	return fmt.Sprintf("asked to take it back: %s; its sender hears of it by %s", strings.Join(domains, ", "),
		local(answerBy)), nil
}

// retractor asks other gateways as the daemon does, which writes the mails.
func (a *act) retractor(ctx context.Context) (*retraction.Retractor, error) {
	m, err := a.marker(ctx)
	if err != nil {
		return nil, err
	}
	return wiring.Retractor(a.config, nil, a.store, m, nil)
}
