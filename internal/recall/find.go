package recall

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/internal/recall/command"
)

// found is one message that a command means, and whose right it is. It has several holds when it was split over several
// envelopes, or when several messages have its name.
type found struct {
	asked   string            // what names it
	mine    []*holdstore.Hold // that the submitter may recall
	refused []*holdstore.Hold // that they may not
	why     string            // of the first that is refused
	instead *post.Answer      // answers the command, and nothing is recalled; nil: mine is
}

// tooManyRefs is why some are not looked for.
const tooManyRefs = "one mail can recall 20 messages at most. The others were not recalled"

// find finds what a command means, and decides what of that its submitter may recall.
func (d *Desk) find(ctx context.Context, r *request) (all []found, err error) {
	help := func(why string) found { return found{instead: &post.Answer{Kind: "help", Why: why}} }
	switch {
	case r.form == formOutlook:
		f, err := d.findOriginal(ctx, r)
		return []found{f}, err
	case r.target.Unclear != "":
		return []found{help(r.target.Unclear)}, nil
	case r.target.Last:
		f, err := d.findLast(ctx, r)
		return []found{f}, err
	case len(r.target.Refs) == 0:
		return []found{help("")}, nil
	}
	for n, ref := range r.target.Refs {
		if n == command.MaxRefs {
			return append(all, help(tooManyRefs)), nil
		}
		about, ours := aboutHold(ref)
		switch ours = ours && r.form == formAddress; {
		case ours && about == "": // a list of ours, which names many
			return []found{help("")}, nil
		case ours:
			ref = about
		}
		f, err := d.findNamed(ctx, r, ref)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

// findNamed finds holds by a REF, leaving out our own mails: those that the submitter may recall, and when there are
// none, others'. A queue ID that was used again means the newest.
func (d *Desk) findNamed(ctx context.Context, r *request, ref string) (found, error) {
	some, err := d.store.ResolveOwn(ctx, ref, func(h *holdstore.Hold) bool {
		return !h.Own() && r.by.refused(h, d.rule(h.Rule)) == ""
	})
	var holds []*holdstore.Hold
	for _, h := range some {
		if !h.Own() {
			holds = append(holds, h)
		}
	}
	if len(holds) > 1 && command.IsQueueID(ref) {
		holds = holds[len(holds)-1:] // IDs sort by time
	}
	return d.decide(r, ref, holds), err
}

// decide parts holds into those that the submitter may recall and others.
func (d *Desk) decide(r *request, asked string, holds []*holdstore.Hold) found {
	f := found{asked: asked}
	for _, h := range holds {
		why := r.by.refused(h, d.rule(h.Rule))
		if why == "" {
			f.mine = append(f.mine, h)
			continue
		}
		if f.why == "" {
			f.why = why
		}
		f.refused = append(f.refused, h)
	}
	return f
}

// findLast finds the submitter's newest message: none of two that came at the same moment, and none when the newest was
// sent after the command. The one before might not be what the sender meant.
func (d *Desk) findLast(ctx context.Context, r *request) (found, error) {
	mine, err := d.latest(ctx, r, lastLooked, nil)
	switch {
	case err != nil:
		return found{}, err
	case len(mine) == 0:
		return found{asked: "LAST"}, nil
	case len(mine) > 1 && mine[0].HeldAt.Equal(mine[1].HeldAt) || r.mail.sentBefore(mine[0]):
		return found{instead: &post.Answer{Kind: "ambiguous", Asked: "LAST", Held: provable(mine)}}, nil
	}
	return d.decide(r, "LAST", mine[:1]), nil
}

// findOriginal finds the message that Outlook's recall means, which names no Message-ID.
func (d *Desk) findOriginal(ctx context.Context, r *request) (found, error) {
	holds, err := d.latest(ctx, r, latestLooked, canMean(r))
	instead := &post.Answer{Kind: "not-found"}
	if errors.Is(err, holdstore.ErrMany) {
		if err = nil; len(holds) == 0 {
			instead.Why = fmt.Sprintf("only the %d messages that you sent last were searched", holdstore.LatestMost)
		}
	}
	best, later := originals(r, holds)
	later = inState(later, holdstore.Held)
	switch {
	case err != nil:
		return found{}, err
	case len(best) == 1:
		return d.decide(r, "Outlook's recall", best[0].holds), nil
	case len(best) > 1:
		instead.Kind = "ambiguous"
		for _, o := range best {
			instead.Held = append(instead.Held, o.holds...)
		}
	case len(later) > 0: // by their Date; clocks may be wrong
		instead.Kind, instead.Held = "ambiguous", later
	}
	return found{instead: instead}, nil
}

// help fills in what the submitter could recall.
func (d *Desk) help(ctx context.Context, r *request, a *post.Answer) error {
	recipients := 0
	mine, err := d.latest(ctx, r, latestShown, func(h *holdstore.Hold) bool { // what is shown of many is little
		recipients += len(h.Recipients)
		return recipients <= recipientsShown || len(h.Recipients) < fewRecipients
	})
	if errors.Is(err, holdstore.ErrMany) || errors.Is(err, holdstore.ErrPartial) { // these are what a list is for
		err = nil
	}
	a.Held = inState(provable(mine), holdstore.Held)
	return err
}

const (
	latestShown     = 200    // messages of a sender that a list shows
	recipientsShown = 10_000 // of all of them together, but for messages to few
	fewRecipients   = 10

	lastLooked   = 2   // messages that LAST chooses from
	latestLooked = 200 // messages that a recall without a Message-ID chooses from
)

// latest returns the submitter's newest messages that fit; nil: all do. Bounds apply to these, so that nobody else's
// mail pushes them out. holdstore.ErrMany: there are older ones, which were not searched.
func (d *Desk) latest(ctx context.Context, r *request, most int, fits func(*holdstore.Hold) bool) ([]*holdstore.Hold,
	error) {
	return d.store.Latest(ctx, r.by.whose, most, func(h *holdstore.Hold) bool {
		return !h.Own() && r.by.sent(h) && (fits == nil || fits(h))
	})
}

// provable leaves the holds whose records prove themselves.
func provable(all []*holdstore.Hold) (some []*holdstore.Hold) {
	for _, h := range all {
		if h.Proven() == nil {
			some = append(some, h)
		}
	}
	return some
}

func idsOf(holds []*holdstore.Hold) (ids []string) {
	for _, h := range holds {
		ids = append(ids, h.ID)
	}
	return ids
}

func inState(holds []*holdstore.Hold, state holdstore.State) (some []*holdstore.Hold) {
	for _, h := range holds {
		if h.State == state {
			some = append(some, h)
		}
	}
	return some
}

// aboutHold says of a Message-ID whether a mail of ours has it, and which hold that is about; "": about none, or
// several.
func aboutHold(messageID string) (id string, ours bool) {
	rest, ours := strings.CutPrefix(messageID, post.IDPrefix)
	if about, _, ok := strings.Cut(rest, "."); ours && ok && command.IsHoldID(about) {
		id = about
	}
	return id, ours
}
