package holdstore

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
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

// takenBefore lists the recipients of a replaced hold that had been recalled before it was replaced.
func takenBefore(f map[string]string, h *Hold) (indexes []int) {
	by := strings.Fields(f["by"])
	for n, r := range h.Results {
		recalled := r.Outcome == TakenBack || r.CutOff
		if recalled && (len(by) < 2 || !slices.Contains(by[2:], strconv.Itoa(n))) {
			indexes = append(indexes, n)
		}
	}
	return indexes
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
// crash between the two sends both messages, never none.
func (p *Put) replaceElsewhere(ctx context.Context, t Terms) error {
	for _, old := range t.Replaces {
		if p.s.nodes.Of(old) == p.at {
			continue
		}
		by := Actor{By: p.submitter(), From: "mail with Supersedes", Reason: "replaced by " + p.id}
		_, err := p.s.Recall(ctx, old, by)
		if err != nil && !errors.Is(err, ErrTooLate) && !errors.Is(err, ErrNotNow) && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return nil
}
