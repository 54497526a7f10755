package inbound

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/recall-milter/recall-milter/internal/cancel"
	"github.com/recall-milter/recall-milter/internal/recall"
	"github.com/recall-milter/recall-milter/policy"
)

// recalls asks the store what the command means, and whether it may be used. Each step is taken only while all before it
// were ours: of copies that come in at the same moment, by whichever gateways, exactly one gets to the end.
func (g *Gate) recalls(ctx context.Context, m *recall.Mail, sight recall.Sight, rule policy.InboundRule, c *policy.Command) (err error) {
	first := func(what string) bool {
		yes, failed := g.memory.Once(ctx, what, user(m, sight), 2*rule.MaxAge)
		err = errors.Join(err, failed)
		return yes
	}
	// The same again: by its Message-ID, which not every signature covers, or by the ID of a request.
	c.Used = !first("m " + c.Domain + " " + m.MessageID) // a stranger uses up nothing of the domain's
	if !c.Used && sight.ID != "" {
		c.Used = !first("q " + c.Domain + " " + sight.ID)
	}
	found, failed := g.found(ctx, sight, c.From)
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	c.Targets = meant(m, sight, c.From, found)
	g.tellApart(ctx, c, found)
	// And by what it says, blanks aside, which every signature covers.
	if t := c.Target(); t != nil && !c.Used {
		c.Used = !first("b " + t.MessageID + "\n" + strings.Join(strings.Fields(string(m.Body)), ""))
	}
	if !c.Used { // a key is public once it was sent: with another command it opens nothing
		sight.Keys = slices.DeleteFunc(slices.Clone(sight.Keys), func(k cancel.Element) bool { return !first("k " + k.String()) })
		for n, t := range meant(m, sight, c.From, found) {
			c.Targets[n].Unlocked = t.Unlocked
		}
	}
	if err == nil {
		c.Count, err = g.memory.Count(ctx, c.Domain, rule.Per)
	}
	return err
}

// user is who may send the same command again: the client that could not know that it was taken, with the same sender, to
// the same recipients. A command that names its recipients may be handed over in pieces: an MTA gives only so many
// recipients to one transaction.
func user(m *recall.Mail, sight recall.Sight) string {
	others := slices.DeleteFunc(addresses(m), func(a string) bool { return slices.Contains(sight.Recipients, a) })
	return m.Client.Address + "\n" + m.Sender.Address + "\n" + strings.Join(others, "\n")
}
