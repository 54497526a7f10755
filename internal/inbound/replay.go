package inbound

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/authenticate"
	"github.com/recall-milter/recall-milter/internal/protocol/cancel"
	"github.com/recall-milter/recall-milter/policy"
)

// useOnce asks the store whether a command may be used. Each step is taken only while all before it were ours: of
// copies that come in at the same moment, by whichever gateways, exactly one gets to the end.
func (g *Gate) useOnce(ctx context.Context, a *arrival, recall Recall, rule policy.InboundRule, c *policy.Command,
	found []holdstore.Remembered) (err error) {
	first := func(what string) bool {
		yes, failed := g.memory.FirstUse(ctx, what, user(a, recall), 2*rule.MaxAge)
		err = errors.Join(err, failed)
		return yes
	}
	// What is beyond the rate leaves nothing else in the store.
	if err = g.count(ctx, a, recall, rule, c); err != nil || !rule.Keeps(*c) {
		return err
	}
	// The same again: by its Message-ID, which not every signature covers, or by the ID of a request.
	c.Used = !first("m " + c.From + " " + a.MessageID) // nobody uses up anything of another author, or colleague
	if !c.Used && recall.ID != "" {
		c.Used = !first("q " + c.From + " " + recall.ID)
	}
	g.tellApart(ctx, c, found)
	// And by what it says, blanks aside, which every signature covers.
	if t := c.Target(); t != nil && !c.Used {
		c.Used = !first("b " + t.MessageID + "\n" + strings.Join(strings.Fields(string(a.Body)), ""))
	}
	if !c.Used { // a key is public once it was sent: with another command it opens nothing
		recall.Keys = slices.DeleteFunc(slices.Clone(recall.Keys),
			func(k cancel.Element) bool { return !first("k " + k.String()) })
		for n, r := range found {
			c.Targets[n].Unlocked = unlocked(recall.Keys, found, r)
		}
	}
	return err
}

// count counts a command: for the organisation that it comes from, for its author, and by its recipients. What means no
// message that is known counts apart, so that it uses up nothing of those that do. A command that comes in by several
// transactions, since an MTA gives only so many recipients to one, is one command.
func (g *Gate) count(ctx context.Context, a *arrival, recall Recall, rule policy.InboundRule,
	c *policy.Command) error {
	if rule.Rate <= 0 {
		return nil
	}
	// What it says belongs to what it is: one Message-ID for many recalls makes them no single one.
	names := []string{a.MessageID, recall.ID, recall.Target}
	for _, s := range recall.Subjects {
		names = append(names, s.Forms()...)
	}
	kind, id := "recalls", strings.Join(names, "\n")
	if c.Target() == nil {
		kind = "recalls of nothing"
	}
	from := holdstore.Tally{Name: kind + " from " + authenticate.Organisation(c.Domain), By: 1}
	n, err := g.memory.Count(ctx, rule.Per, from, holdstore.Tally{Name: from.Name + " to users", By: len(a.Recipients)})
	if err != nil {
		return err
	}
	if c.Count, c.Recipients = n[0], n[1]; !rule.Keeps(policy.Command{Count: c.Count, Author: 1,
		Recipients: c.Recipients}) {
		return nil // whoever the author is: made up ones leave nothing in the store
	}
	by := holdstore.Tally{Name: kind + " by " + c.From, By: 1}
	if n, err = g.memory.Count(ctx, rule.Per, by, holdstore.Tally{Name: by.Name + " " + id, By: 1}); err != nil {
		return err
	}
	if c.Author = n[0]; n[1] > 1 {
		from.By, by.By = -1, -1
		if n, err = g.memory.Count(ctx, rule.Per, from, by); err == nil {
			c.Count, c.Author = n[0], n[1]
		}
	}
	return err
}

// user is who may send the same command again: the client that could not know that it was taken, with the same sender,
// to the same recipients. A command that names its recipients may be handed over in pieces: an MTA gives only so many
// recipients to one transaction.
func user(a *arrival, recall Recall) string {
	named := map[string]bool{}
	for _, to := range recall.Recipients {
		named[to] = true
	}
	others := slices.DeleteFunc(slices.Clone(a.to), func(to string) bool { return named[to] })
	return a.Client.Address + "\n" + a.Sender.Address + "\n" + strings.Join(others, "\n")
}
