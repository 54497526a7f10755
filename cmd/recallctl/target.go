package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/hint"
)

// maxRefs bounds how many REFs are read from standard input.
const maxRefs = 1_000_000

// each calls do with the holds that REFs, or else a filter, name; a filter looks only at holds in the states given.
func (c *ctl) each(ctx context.Context, refs []string, f *filter, do func(*holdstore.Hold) error,
	states ...holdstore.State) error {
	if err := oneWay(refs, f); err != nil {
		return err
	}
	if len(refs) == 0 {
		return c.find(ctx, f, false, do, states...)
	}
	holds, err := c.named(ctx, refs)
	for _, h := range holds {
		if err == nil {
			err = do(h)
		}
	}
	return err
}

// chosen lists the IDs of the same holds, each once; those of a filter in the order in which they were held.
func (c *ctl) chosen(ctx context.Context, refs []string, f *filter, states ...holdstore.State) (ids []string,
	err error) {
	if err := oneWay(refs, f); err != nil {
		return nil, err
	}
	add := func(h *holdstore.Hold) error { ids = append(ids, h.ID); return nil }
	if len(refs) > 0 {
		return ids, c.each(ctx, refs, f, add)
	}
	err = c.find(ctx, f, true, add, states...)
	slices.Sort(ids)
	return slices.Compact(ids), err
}

func oneWay(refs []string, f *filter) error {
	switch {
	case len(refs) > 0 && f.given():
		return usage("name messages by REF or by filter, not by both")
	case len(refs) == 0 && !f.given():
		return usage("say which messages: a REF (hold ID, Message-ID or queue ID), a filter like --sender, or --all")
	}
	return nil
}

// named finds the holds of REFs; if any is unknown or ambiguous, the caller gets an error and changes nothing. What is
// on a server that is away is said, and does not keep the others back.
func (c *ctl) named(ctx context.Context, refs []string) ([]*holdstore.Hold, error) {
	if len(refs) == 1 && refs[0] == "-" {
		var err error
		if refs, err = readRefs(c.stdin); err != nil {
			return nil, err
		}
	}
	var all []*holdstore.Hold
	seen := map[string]bool{}
	away, why := 0, error(nil)
	bar := c.progress(len(refs))
	defer bar.done()
	for n, ref := range refs {
		bar.at(n)
		holds, err := c.lookUp(ctx, ref)
		switch {
		case errors.Is(err, holdstore.ErrPartial) && len(refs) == 1:
			return nil, again(fmt.Errorf("%s: %w", ref, err))
		case errors.Is(err, holdstore.ErrPartial):
			away, why = away+1, err
			bar.done()
			c.failure(ref, err)
		case err != nil:
			return nil, err
		}
		for _, h := range holds {
			if !seen[h.ID] {
				seen[h.ID] = true
				all = append(all, h)
			}
		}
	}
	if err := c.partly(fmt.Sprintf("%d of %d REFs could not be looked up", away, len(refs)), why); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, &exit{exitNothing, "nothing was done"}
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

// lookUp finds the hold that a REF names. Several are an error, unless they have the same Message-ID and somebody said
// --yes: queue IDs are used again by the MTA, for mail of others.
func (c *ctl) lookUp(ctx context.Context, ref string) ([]*holdstore.Hold, error) {
	holds, err := c.store.Resolve(ctx, ref)
	if len(holds) > 0 {
		err = c.part(err)
	}
	byMessageID := !slices.ContainsFunc(holds,
		func(h *holdstore.Hold) bool { return strings.Trim(h.MessageID, "<>") != strings.Trim(ref, "<>") })
	switch {
	case err != nil:
		return nil, err
	case strings.TrimSpace(ref) == "" || len(holds) == 0:
		return nil, &exit{exitNothing, fmt.Sprintf("no message here has the hold ID, Message-ID or queue ID %q%s", ref,
			c.asFilter(ref))}
	case len(holds) > 1 && (byMessageID && c.sure || c.several):
		return holds, nil
	case len(holds) > 1:
		if err := c.holds(ctx, c.store, holds); err != nil {
			return nil, err
		}
		hint := ""
		if byMessageID {
			hint = ", or add --yes for all of them"
		}
		return nil, usage("%q names %d messages, and nothing was changed: use the ID of one%s", ref, len(holds), hint)
	}
	return holds, nil
}

// asFilter says how to select by what somebody took for a REF. A verb without filters needs an ID, which list finds.
func (c *ctl) asFilter(ref string) string {
	list := func(flag string) string { return c.command("list --state all " + flag + " " + hint.Quoted(ref)) }
	switch {
	case strings.Contains(ref, "@") && !strings.HasPrefix(ref, "<"):
		if c.onlyREFs {
			return fmt.Sprintf("; of an address, %s lists messages with their IDs", list("--sender"))
		}
		return "; for an address use --sender or --recipient"
	case strings.TrimSpace(ref) != "" && !strings.ContainsAny(ref, "0123456789@"):
		if c.onlyREFs {
			return fmt.Sprintf("; by a word of the subject, %s lists messages with their IDs", list("--subject"))
		}
		return "; for a word of the subject use --subject"
	}
	return ""
}

// errEnough ends a find early.
var errEnough = errors.New("enough")

// find calls do with what a filter selects, soonest due first unless any order will do; nothing is an error. It shows
// how far it is when it takes long.
func (c *ctl) find(ctx context.Context, f *filter, anyOrder bool, do func(*holdstore.Hold) error,
	states ...holdstore.State) error {
	q, err := f.ready(states...)
	if err != nil {
		return err
	}
	bar, found := c.progress(0), false
	defer bar.done()
	q.AnyOrder, q.Progress = anyOrder, bar.of
	var doubted unproven
	defer doubted.say(c)
	for h, err := range c.store.Find(ctx, q) {
		switch {
		case errors.Is(err, holdstore.ErrDamaged):
			c.say("left out: %v: see %s", err, c.command("fsck"))
			continue
		case c.part(err) != nil:
			return err
		case err != nil:
			continue
		}
		found = true
		doubted.add(h)
		if err := do(h); errors.Is(err, errEnough) {
			return nil
		} else if err != nil {
			return err
		}
	}
	if !found {
		return &exit{exitNothing, "nothing matched"}
	}
	return nil
}

// unproven counts the messages whose records nothing proves: whoever writes to Redis may have written what they say.
type unproven struct {
	n     int
	first string
}

func (u *unproven) add(h *holdstore.Hold) {
	if err := h.Proven(); err != nil && !errors.Is(err, holdstore.ErrNoKey) { // without the keys nobody can tell
		if u.n++; u.n == 1 {
			u.first = h.ID
		}
	}
}

func (u *unproven) say(c *ctl) {
	if u.n > 0 {
		c.say("nothing proves the records of %s among these, such as %s, so they are not sent: see %s",
			count(u.n), u.first, c.command("show "+u.first))
	}
}

// isNothing says whether a search ended without a match.
func isNothing(err error) bool {
	var e *exit
	return errors.As(err, &e) && e.code == exitNothing
}
