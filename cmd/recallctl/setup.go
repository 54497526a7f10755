package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/doctor"
	"github.com/recall-milter/recall-milter/internal/postfix"
)

func (c *ctl) setup() *cobra.Command {
	var o surroundings
	var apply, undo, reload bool
	cmd := &cobra.Command{Use: "setup", Short: "shows which lines a hold needs in Postfix, and writes them on request",
		Long: "Checks what the hold needs, and shows which lines of main.cf and master.cf it needs, beside what is there.\n" +
			"Nothing is changed without --apply, and --undo takes that back. Sendmail: docs/sendmail.md.", Args: noREF}
	flags := cmd.Flags()
	flags.StringVar(&o.postfix, "postfix", "/etc/postfix", "Postfix's configuration `DIR`")
	flags.StringVar(&o.user, "user", "recall-milter", "the `USER` that the daemon runs as")
	flags.BoolVar(&apply, "apply", false, "write the lines with postconf; the old files are kept beside the new ones")
	flags.BoolVar(&undo, "undo", false, "put the files back as they were before --apply")
	flags.BoolVar(&reload, "reload", false, "with --apply or --undo: have Postfix reload its configuration afterwards")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case apply && undo, reload && !apply && !undo:
			return usage("choose --apply or --undo; --reload goes with either")
		case undo:
			return c.unset(cmd.Context(), o.postfix, reload)
		}
		return c.set(cmd.Context(), &o, apply, reload)
	}
	return cmd
}

// set shows what is to be changed, and changes it when asked to.
func (c *ctl) set(ctx context.Context, o *surroundings, apply, reload bool) error {
	mta, changes, err := c.planned(ctx, o)
	if err != nil {
		return err
	}
	c.changes(mta, changes)
	switch {
	case len(changes) == 0:
		c.say("%s has all lines that a hold needs", mta.Dir)
	case !apply:
		c.say("nothing was changed: recallctl setup --apply writes this, and recallctl setup --undo takes it back")
	default:
		stamp, err := mta.Setup(ctx, changes)
		if err != nil {
			return fmt.Errorf("%s: %w", mta.Dir, err)
		}
		c.say("written; the old files are %s and %s; back: recallctl setup --undo --reload", postfix.Before(filepath.Join(mta.Dir, "main.cf"), stamp), postfix.Before("master.cf", stamp))
	}
	if apply {
		return c.reloaded(ctx, mta, reload)
	}
	return nil
}

// planned says what is missing before and in Postfix.
func (c *ctl) planned(ctx context.Context, o *surroundings) (*postfix.Config, []postfix.Change, error) {
	if err := c.load(); err != nil {
		return nil, nil, err
	}
	site, _ := c.site(o)
	for _, f := range doctor.Before(ctx, site) {
		if f.Level != doctor.OK {
			c.say("%s", findingLines(f, 0)[0])
		}
	}
	mta, err := postfix.Read(ctx, o.postfix)
	if err != nil {
		return nil, nil, fmt.Errorf("%w; Sendmail's lines are in recall-milter.m4, see docs/sendmail.md", err)
	}
	changes, err := mta.Plan(postfix.Needs{Milter: site.Listening(), Release: doctor.Endpoint(c.config.Release.SMTP)})
	return mta, changes, err
}

// changes shows what is there and what will be.
func (c *ctl) changes(mta *postfix.Config, changes []postfix.Change) {
	file := ""
	for _, change := range changes {
		if c.json {
			c.encode(struct {
				postfix.Change
				Command string `json:"command"`
			}{change, change.Command(mta.Dir)})
			continue
		}
		if path := filepath.Join(mta.Dir, change.File); path != file {
			file = path
			fmt.Fprintln(c.stdout, file)
		}
		for _, line := range change.Lines() {
			fmt.Fprintln(c.stdout, "  "+cell(line))
		}
	}
}

// reloaded reloads, or says how.
func (c *ctl) reloaded(ctx context.Context, mta *postfix.Config, reload bool) error {
	if !reload {
		c.say("Postfix takes it at its next reload: postfix -c %s reload", mta.Dir)
		return nil
	}
	if err := mta.Reload(ctx); err != nil {
		return fmt.Errorf("the files are written, but Postfix did not reload them: %w", err)
	}
	c.say("Postfix has reloaded it")
	return nil
}

// unset takes the newest setup back. The port by which held mail returns stays as long as some may be held.
func (c *ctl) unset(ctx context.Context, dir string, reload bool) error {
	var port *postfix.Endpoint
	held := c.stillHeld(ctx)
	if held != "" {
		at := doctor.Endpoint(c.config.Release.SMTP)
		port = &at
	}
	kept, err := postfix.Undo(ctx, dir, port)
	if errors.Is(err, postfix.ErrNoSetup) {
		return &exit{exitNothing, err.Error()}
	}
	if err != nil {
		return err
	}
	if kept {
		c.say("%s: main.cf is as it was, and master.cf but for the re-injection port: %s; recallctl setup --undo takes that out as well when all has left (recallctl drain)", dir, held)
	} else {
		c.say("%s: main.cf and master.cf are as they were", dir)
	}
	return c.reloaded(ctx, &postfix.Config{Dir: dir}, reload)
}

// stillHeld says why the re-injection port may be needed; "" when it is not. Without a config nothing can be.
func (c *ctl) stillHeld(ctx context.Context) string {
	const unknown = "the store does not say whether mail is held"
	switch err := c.open(); {
	case c.config == nil:
		return ""
	case err != nil:
		return unknown
	}
	s, err := c.store.Stats(ctx)
	switch n := s.Count[holdstore.Held] + s.Count[holdstore.Releasing]; {
	case err != nil:
		return unknown
	case n > 0:
		return plural(n, "message") + " still held"
	}
	return ""
}
