package recall

import (
	"context"
	"errors"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/internal/recall/command"
)

// tooManyRefs is why some are not looked for.
const tooManyRefs = "one mail can recall 20 messages at most. The others were not recalled"

// recallNamed finds what the command means and recalls it. Each message that is meant has an answer of its own.
func (d *Desk) recallNamed(ctx context.Context, m *Mail, t command.Target) (all []*answer, err error) {
	switch {
	case t.Unclear != "":
		return d.help(ctx, m, t.Unclear)
	case t.Last:
		a, err := d.recallLast(ctx, m, t.Only)
		return []*answer{a}, err
	case len(t.Refs) == 0:
		return d.help(ctx, m, "")
	}
	for n, ref := range t.Refs {
		if n == command.MaxRefs {
			more, err := d.help(ctx, m, tooManyRefs)
			return append(all, more...), err
		}
		about, ours := aboutHold(ref)
		if ours && about == "" { // a list of ours, which names many
			return d.help(ctx, m, "")
		}
		if ours {
			ref = about
		}
		holds, err := d.resolve(ctx, m, ref)
		a, err := d.recall(ctx, m, ref, holds, t.Only, err)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// help answers with what the submitter could recall, and why nothing was.
func (d *Desk) help(ctx context.Context, m *Mail, why string) ([]*answer, error) {
	recipients := 0
	mine, err := d.latest(ctx, m, latestShown, func(h *holdstore.Hold) bool { // what is shown of many is little
		recipients += len(h.Recipients)
		return recipients <= recipientsShown || len(h.Recipients) < fewRecipients
	})
	if errors.Is(err, holdstore.ErrMany) { // these are what a list is for
		err = nil
	}
	return []*answer{{Answer: post.Answer{Kind: "help", Why: why, Held: inState(provable(mine), holdstore.Held)}}}, err
}

// recallLast recalls the submitter's newest message. It recalls none of two that came at the same moment, and none when
// the newest was sent after the command: the one before might not be what the sender meant.
func (d *Desk) recallLast(ctx context.Context, m *Mail, only []string) (*answer, error) {
	mine, err := d.latest(ctx, m, lastLooked, nil)
	switch {
	case err != nil:
		return nil, err
	case len(mine) == 0:
		return &answer{Answer: post.Answer{Kind: "not-found", Asked: "LAST"}}, nil
	case len(mine) > 1 && mine[0].HeldAt.Equal(mine[1].HeldAt) || m.sentBefore(mine[0]):
		return &answer{Answer: post.Answer{Kind: "ambiguous", Asked: "LAST", Held: provable(mine)}}, nil
	}
	return d.recall(ctx, m, "LAST", mine[:1], only, nil)
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
func (d *Desk) latest(ctx context.Context, m *Mail, most int, fits func(*holdstore.Hold) bool) ([]*holdstore.Hold,
	error) {
	return d.store.Latest(ctx, d.submitter(m), most, func(h *holdstore.Hold) bool {
		return !h.Own() && d.sameSubmitter(&m.Submission, &h.Submission) && (fits == nil || fits(h))
	})
}

// resolve finds holds by a REF, leaving out our own mails: those that the submitter may recall, and when there are
// none, others'. A queue ID that was used again means the newest.
func (d *Desk) resolve(ctx context.Context, m *Mail, ref string) ([]*holdstore.Hold, error) {
	found, err := d.store.ResolveOwn(ctx, ref, func(h *holdstore.Hold) bool {
		return !h.Own() && d.refuses(&m.Submission, h, d.rule(h.Rule)) == ""
	})
	var holds []*holdstore.Hold
	for _, h := range found {
		if !h.Own() {
			holds = append(holds, h)
		}
	}
	if len(holds) > 1 && command.IsQueueID(ref) {
		holds = holds[len(holds)-1:] // IDs sort by time
	}
	return holds, err
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
