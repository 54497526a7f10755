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

// recalls asks the store what the command means, and whether it may be used.
func (g *Gate) recalls(ctx context.Context, m *recall.Mail, sight recall.Sight, rule policy.InboundRule, c *policy.Command) (err error) {
	first := func(what string) bool {
		yes, failed := g.memory.Once(ctx, what, user(m, sight), 2*rule.MaxAge)
		err = errors.Join(err, failed)
		return yes
	}
	// The same again: by its Message-ID, which not every signature covers, or by the ID of a request.
	c.Used = !first("m " + c.Domain + " " + m.MessageID) // a stranger uses up nothing of the domain's
	if sight.ID != "" && !first("q "+c.Domain+" "+sight.ID) {
		c.Used = true
	}
	if !c.Used { // a key is public once it was sent: with another command it opens nothing
		sight.Keys = slices.DeleteFunc(slices.Clone(sight.Keys), func(k cancel.Element) bool { return !first("k " + k.String()) })
	}
	if err != nil {
		return err
	}
	found, err := g.found(ctx, sight, c.From)
	if err != nil {
		return err
	}
	c.Targets = meant(m, sight, c.From, found)
	g.tellApart(ctx, c, found)
	// And by what it says, blanks aside, which every signature covers.
	if t := c.Target(); t != nil && !first("b "+t.MessageID+"\n"+strings.Join(strings.Fields(string(m.Body)), "")) {
		c.Used = true
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
