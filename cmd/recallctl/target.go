package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
)

// maxRefs bounds how many REFs are read from standard input.
const maxRefs = 1_000_000

// targets finds the holds that REFs, or else a filter, name; a filter looks only at holds in the states given.
func (c *ctl) targets(ctx context.Context, refs []string, f *filter, states ...holdstore.State) ([]*holdstore.Hold, error) {
	switch {
	case len(refs) > 0 && f.given():
		return nil, usage("name messages by REF or by filter, not by both")
	case len(refs) > 0:
		return c.named(ctx, refs)
	case !f.given():
		return nil, usage("say which messages: a REF (hold ID, Message-ID or queue ID), a filter like --sender, or --all")
	}
	return c.find(ctx, f, states...)
}

// named finds the one hold of each REF; if any is unknown or ambiguous, the caller gets an error and changes nothing.
func (c *ctl) named(ctx context.Context, refs []string) ([]*holdstore.Hold, error) {
	if len(refs) == 1 && refs[0] == "-" {
		var err error
		if refs, err = readRefs(c.stdin); err != nil {
			return nil, err
		}
	}
	var all []*holdstore.Hold
	seen := map[string]bool{}
	for _, ref := range refs {
		h, err := c.one(ctx, ref)
		if err != nil {
			return nil, err
		}
		if !seen[h.ID] {
			seen[h.ID] = true
			all = append(all, h)
		}
	}
	return all, nil
}

// readRefs reads words, one REF each.
func readRefs(from io.Reader) ([]string, error) {
	var refs []string
	words := bufio.NewScanner(from)
	words.Split(bufio.ScanWords)
	for words.Scan() {
		if refs = append(refs, words.Text()); len(refs) > maxRefs {
			return nil, usage("standard input has more than %d REFs", maxRefs)
		}
	}
	if err := words.Err(); err != nil {
		return nil, usage("standard input: %v", err)
	}
	if len(refs) == 0 {
		return nil, &exit{exitNothing, "standard input names no message"}
	}
	return refs, nil
}

// one finds the hold that a REF names.
func (c *ctl) one(ctx context.Context, ref string) (*holdstore.Hold, error) {
	holds, err := c.store.Resolve(ctx, ref)
	switch {
	case err != nil:
		return nil, err
	case strings.TrimSpace(ref) == "" || len(holds) == 0:
		return nil, &exit{exitNothing, fmt.Sprintf("%q is no hold ID, Message-ID or queue ID of a message here", ref)}
	case len(holds) > 1:
		c.holds(ctx, c.store, holds)
		return nil, usage("%q names %d messages, and nothing was changed: use the ID of one", ref, len(holds))
	}
	return holds[0], nil
}

// find collects what a filter selects, soonest due first; nothing is an error.
func (c *ctl) find(ctx context.Context, f *filter, states ...holdstore.State) ([]*holdstore.Hold, error) {
	q, err := f.ready(states...)
	if err != nil {
		return nil, err
	}
	var all []*holdstore.Hold
	for h, err := range c.store.Find(ctx, q) {
		if err != nil {
			return nil, err
		}
		all = append(all, h)
	}
	if len(all) == 0 {
		return nil, &exit{exitNothing, "nothing matched"}
	}
	return all, nil
}
