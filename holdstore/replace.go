package holdstore

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
	"github.com/recall-milter/recall-milter/holdstore/internal/seal"
)

// replacing is the part of a commit that takes back what the new hold replaces, and of a fence that undoes it.
var replacing = takeback + lua("replace")

// replaced lists those of some holds that are in the shard of the commit.
func (p *Put) replaced(ids []string) (here []string) {
	for _, old := range ids {
		if p.s.nodes.Of(old) == p.at {
			here = append(here, old)
		}
	}
	return here
}

// noteTickets keeps what the tickets of sealed holds let before this commit replaces them. Whatever somebody writes
// into their records meanwhile, a fence that undoes it lets no more than that.
func (p *Put) noteTickets(ctx context.Context) error {
	here := p.replaced(p.replaces)
	if !p.s.seal.Seals() || len(here) == 0 {
		return nil
	}
	pipe := p.s.nodes.Client.Pipeline()
	replies := make([]*redis.SliceCmd, len(here))
	for n, old := range here {
		replies[n] = pipe.HMGet(ctx, holdKey(p.at, old), "p", "may")
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nodes.Explain(err)
	}
	p.tickets = map[string][]int{}
	for n, old := range here {
		f := replies[n].Val()
		record, _ := f[0].(string)
		may, _ := f[1].(string)
		if without, err := p.s.seal.Without(old, seal.ProofOf(record), may); err == nil {
			p.tickets[old] = without
		}
	}
	return nil
}

// takenBefore lists the recipients of a replaced hold that had been recalled before it was replaced.
func (p *Put) takenBefore(f map[string]string, h *Hold) (indexes []int) {
	pending := map[string]bool{}
	if by := strings.Fields(f["by"]); len(by) > 2 {
		for _, n := range by[2:] {
			pending[n] = true
		}
	}
	for n, r := range h.Results {
		if r.back() && !pending[strconv.Itoa(n)] {
			indexes = append(indexes, n)
		}
	}
	return append(indexes, p.tickets[h.ID]...)
}

// replacing is what the commit script takes back in its shard: JSON, or empty.
func (p *Put) replacing(t Terms) []byte {
	here := p.replaced(t.Replaces)
	if here == nil {
		return nil
	}
	by := p.submitter()
	event := eventLine(Event{Verb: "recalled", By: by, Detail: "replaced by " + p.id})
	b, _ := json.Marshal(map[string]any{"ids": here, "by": by, "event": event})
	return b
}

func (p *Put) submitter() string {
	if p.sub.Login == "" {
		return "<" + p.sub.Sender.Address + ">"
	}
	return "login " + p.sub.Login
}

// replaceElsewhere takes back what the new hold replaces in other shards, where no script can do it in the same step: a
// crash between the two sends both messages. When one of these shards fails, the new hold is fenced off as after any
// other failure of a commit. What was taken back by then stays so: whoever submits the new message hears that it is not
// held, and a retry finds the old one taken back.
func (p *Put) replaceElsewhere(ctx context.Context, t Terms) error {
	for _, old := range t.Replaces {
		if p.s.nodes.Of(old) == p.at {
			continue
		}
		by := Actor{By: p.submitter(), From: "mail with Supersedes", Reason: "replaced by " + p.id}
		_, err := p.s.Recall(ctx, old, by)
		if err != nil && !staysAsItIs(err) {
			return err
		}
	}
	return nil
}

// staysAsItIs says of the error of a recall that nothing can be done to this hold, and that its shard works.
func staysAsItIs(err error) bool {
	return slices.ContainsFunc([]error{ErrTooLate, ErrNotNow, ErrNotFound, ErrDamaged},
		func(kind error) bool { return errors.Is(err, kind) })
}
