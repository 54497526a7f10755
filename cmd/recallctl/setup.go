package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/recall-milter/recall-milter/internal/doctor"
	"github.com/recall-milter/recall-milter/internal/hint"
	"github.com/recall-milter/recall-milter/internal/postfix"
	"github.com/recall-milter/recall-milter/internal/sanitize"
)

func (c *ctl) setup() *cobra.Command {
	var o surroundings
	var apply, undo, bypass, resume, reload bool
	cmd := &cobra.Command{Use: "setup", Short: "Show the lines that a hold needs in Postfix, and write them on request",
		Long: `Check what the hold needs, and show which lines of main.cf and master.cf it needs, next to what is there.
Without a flag nothing is changed. For Sendmail see /usr/share/doc/recall-milter/docs/sendmail.md.

--undo takes out what --apply wrote, and nothing else, whatever was edited since. --bypass takes the milter, and
nothing else, out of every list of milters: new mail passes unheld, and signers and filters go on. --resume puts it
back where it was.

Exit codes: 0 done, or it was so already; 64 wrong command, nothing was changed; 77 not allowed; 78 invalid config.`,
		Example: `  recallctl setup --apply --reload     # hold mail
  recallctl setup --undo --reload      # take our lines out again
  recallctl setup --bypass --reload    # emergency: new mail passes unheld
  recallctl setup --resume --reload`, Args: c.noREF}
	flags := cmd.Flags()
	flags.StringVar(&o.postfix, "postfix", hint.PostfixDir, "Postfix's configuration `DIR`")
	flags.StringVar(&o.user, "user", doctor.DaemonUser, "the `USER` that the daemon runs as")
	flags.BoolVar(&apply, "apply", false, "write the lines with postconf; the old files are kept next to the new ones")
	flags.BoolVar(&undo, "undo", false, "take out what --apply wrote")
	flags.BoolVar(&bypass, "bypass", false, "take the milter out of every list of milters")
	flags.BoolVar(&resume, "resume", false, "put the milter back where --bypass took it out")
	flags.BoolVar(&reload, "reload", false, "have Postfix reload its configuration afterwards")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c.around = o
		acts := map[bool]int{}
		for _, chosen := range []bool{apply, undo, bypass, resume} {
			acts[chosen]++
		}
		switch {
		case acts[true] > 1, reload && acts[true] == 0:
			return usage("choose --apply, --undo, --bypass or --resume; --reload goes with each of them")
		case undo:
			return c.unset(cmd.Context(), reload)
		case bypass:
			return c.bypass(cmd.Context(), reload)
		case resume:
			return c.unbypass(cmd.Context(), reload)
		}
		return c.set(cmd.Context(), apply, reload)
	}
	return cmd
}

// set shows what is to be changed, and changes it when asked to.
func (c *ctl) set(ctx context.Context, apply, reload bool) error {
	if since, ok := postfix.Bypassed(c.around.postfix); ok && !apply {
		c.say("the milter is bypassed since %s: %s puts it back where it was", local(since),
			c.setupCommand("--resume --reload"))
	} else if ok {
		if err := c.putBack(ctx); err != nil {
			return err
		}
	}
	mta, changes, err := c.planned(ctx)
	if err != nil {
		return err
	}
	c.changes(mta, changes)
	switch {
	case len(changes) == 0:
		c.say("%s has all lines that a hold needs", mta.Dir)
	case !apply:
		c.say("nothing was changed: %s writes this, and %s takes it back", c.setupCommand("--apply --reload"),
			c.setupCommand("--undo --reload"))
	default:
		stamp, err := mta.Setup(ctx, changes)
		if err != nil {
			return fmt.Errorf("%s: %w", mta.Dir, err)
		}
		c.say("written; the old files are %s and %s; back: %s",
			postfix.Before(filepath.Join(mta.Dir, "main.cf"), stamp), postfix.Before("master.cf", stamp),
			c.setupCommand("--undo --reload"))
	}
	if apply {
		if err := c.reloaded(ctx, mta, reload); err != nil {
			return err
		}
	}
	c.sayHeld()
	return nil
}

// planned says what is missing before and in Postfix.
func (c *ctl) planned(ctx context.Context) (*postfix.Config, []postfix.Change, error) {
	if err := c.load(); err != nil {
		return nil, nil, err
	}
	site, _ := c.site(&c.around)
	for _, f := range doctor.Before(ctx, site) {
		if f.Level != doctor.OK {
			c.say("%s", findingLines(f, 0)[0])
		}
	}
	mta, err := postfix.Read(ctx, c.around.postfix)
	if err != nil {
		return nil, nil, fmt.Errorf("%w; Sendmail's lines are in recall-milter.m4, "+
			"see /usr/share/doc/recall-milter/docs/sendmail.md", err)
	}
	changes, err := mta.Plan(site.Needs())
	for _, f := range doctor.BeforeTheHold(site, mta) {
		c.say("%s", findingLines(f, 0)[0])
	}
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
			fmt.Fprintln(c.stdout, "  "+sanitize.TerminalCell(line))
		}
	}
}

// reloaded reloads, or says how.
func (c *ctl) reloaded(ctx context.Context, mta *postfix.Config, reload bool) error {
	if !reload {
		c.say("Postfix takes it at its next reload: %s", hint.Postfix("postfix", mta.Dir, "reload"))
		return nil
	}
	if err := mta.Reload(ctx); err != nil {
		return fmt.Errorf("the files are written, but Postfix did not reload them: %w", err)
	}
	c.say("Postfix has reloaded it")
	return nil
}
