package mailbox

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/recall-milter/recall-milter/internal/fingerprint"
)

// ClawBack is Backend.ClawBack. Graph rebuilds bodies, so that only the header tells the content.
func (g *Graph) ClawBack(ctx context.Context, c Claw, plan []Copy, note func([]Copy) error) (r Clawed, err error) {
	err = g.clawing(ctx, &c, func(o *graphBox) (err error) {
		r, err = o.takeAll(c, slices.Clone(plan), note)
		return err
	})
	return clawedBy(r, err)
}

// GiveBack is Backend.GiveBack.
func (g *Graph) GiveBack(ctx context.Context, c Claw, copies []Copy, note func([]Copy) error) (r Clawed, err error) {
	err = g.clawing(ctx, &c, func(o *graphBox) (err error) {
		r, err = o.giveAll(c, slices.Clone(copies), note)
		return err
	})
	return clawedBy(r, err)
}

// clawedBy is a result, or what an answer of Graph means for good.
func clawedBy(r Clawed, err error) (Clawed, error) {
	if said := new(graphError); errors.As(err, &said) {
		if outcome, final := said.outcome(); final {
			return Clawed{Outcome: outcome.Outcome, Detail: outcome.Detail}, nil
		}
	}
	if err != nil {
		return Clawed{}, err
	}
	return r, nil
}

func (g *Graph) clawing(ctx context.Context, c *Claw, work func(*graphBox) error) error {
	c.DryRun = c.DryRun || g.p.DryRun
	if g.s.defect(c.Recipient, c.MessageID) != "" {
		return &graphError{code: noMailbox[0]}
	}
	ctx, cancel := context.WithTimeout(ctx, jobTime)
	defer cancel()
	if err := g.slots.enter(ctx); err != nil {
		return err
	}
	defer g.slots.leave()
	if err := work(&graphBox{Graph: g, ctx: ctx, user: g.s.name(c.Recipient)}); err != nil {
		return fmt.Errorf("mailbox of <%s>: message %s stays for now: %w", c.Recipient, c.MessageID, err)
	}
	return nil
}

// meant says whether a copy has the Message-ID and came by mail, and if so, whether its content is the one.
func (m *graphMessage) meant(c Claw) (named, is bool) {
	values := func(name string) (all []string) {
		for _, f := range m.Headers {
			if strings.EqualFold(f.Name, name) {
				all = append(all, f.Value)
			}
		}
		return all
	}
	if m.IsDraft || len(values("Received")) == 0 {
		return false, false
	}
	return true, c.Print.Header == "" || fingerprint.OfHeader(values) == c.Print.Header
}

// takeAll takes every copy out.
func (o *graphBox) takeAll(c Claw, copies []Copy, note func([]Copy) error) (Clawed, error) {
	all, others, err := o.copiesOf(c)
	if err != nil {
		return Clawed{}, err
	}
	target := ""
	if len(all) > 0 && !c.Delete {
		if target, err = o.clawFolder(c); err != nil {
			return Clawed{}, err
		}
	}
	var todo []*graphMessage
	for _, m := range all {
		n := slices.IndexFunc(copies, func(known Copy) bool { return known.ID == m.ID })
		switch {
		case n >= 0 && m.Folder == target && target != "": // an earlier try moved it; its ID stays
			if !copies[n].Stays {
				copies[n].To, copies[n].Now = target, m.ID
			}
		case n < 0 && m.Folder == target && target != "":
			copies = append(copies, Copy{Folder: m.Folder, ID: m.ID, Seen: m.touched(), Other: m.other, Stays: true})
		case n < 0:
			copies = append(copies, Copy{Folder: m.Folder, ID: m.ID, Seen: m.touched(), Other: m.other})
			todo = append(todo, m)
		default:
			todo = append(todo, m)
		}
	}
	if c.DryRun {
		return c.outcome(copies, others), nil
	}
	if len(todo) > 0 {
		if err := note(copies); err != nil {
			return Clawed{}, err
		}
	}
	for _, m := range todo {
		n := slices.IndexFunc(copies, func(known Copy) bool { return known.ID == m.ID })
		err := o.takeOut(m, target, &copies[n])
		if said := new(graphError); errors.As(err, &said) && said.gone() {
			copies[n].Gone, err = true, nil
		}
		if err != nil {
			return Clawed{}, err
		}
	}
	return c.outcome(copies, others), nil
}

// takeOut moves a copy to a folder, or deletes it for good.
func (o *graphBox) takeOut(m *graphMessage, target string, c *Copy) error {
	if target != "" {
		now, err := o.moveTo(m, target)
		if err == nil {
			c.To, c.Now = target, now.ID
		}
		return err
	}
	now, err := o.moveTo(m, recoverable)
	if err != nil {
		return err
	}
	return o.call(http.MethodPost, o.at(nil, "messages", now.ID, "permanentDelete"), nil, nil)
}

// clawFolder is the ID of the folder where copies go.
func (o *graphBox) clawFolder(c Claw) (string, error) {
	if c.Folder == "" {
		return o.folder("deleteditems")
	}
	return o.named(c.Folder)
}

// copiesOf returns every copy of a message, and how many others have its Message-ID.
func (o *graphBox) copiesOf(c Claw) (all []*graphMessage, others int, err error) {
	listed, err := o.list(c.MessageID)
	for _, m := range listed {
		switch named, is := m.meant(c); {
		case is || named && c.Changed:
			m.other = !is
			all = append(all, m)
		case named:
			others++
		}
	}
	return all, others, err
}

// giveAll moves back what was moved.
func (o *graphBox) giveAll(c Claw, copies []Copy, note func([]Copy) error) (Clawed, error) {
	back, gone := 0, 0
	for n := range copies {
		one := &copies[n]
		if one.Stays || one.Gone || one.Now == "" {
			continue
		}
		var m graphMessage
		err := o.call(http.MethodGet, o.at(looked, "messages", one.Now), nil, &m)
		if said := new(graphError); errors.As(err, &said) && said.gone() {
			gone++
			continue
		}
		switch {
		case err != nil:
			return Clawed{}, err
		case m.Folder == one.Folder: // an earlier try, or its user, moved it
		case m.Folder != one.To:
			gone++
			continue
		case !c.DryRun:
			if one.Back = true; note != nil {
				if err := note(copies); err != nil {
					return Clawed{}, err
				}
			}
			if _, err := o.moveTo(&m, one.Folder); err != nil {
				return Clawed{}, err
			}
		}
		back++
	}
	return given(copies, back, gone), nil
}
