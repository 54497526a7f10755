package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/doctor"
	"github.com/recall-milter/recall-milter/internal/postfix"
)

// endpoints are where the daemon listens; none when the config does not say.
func (c *ctl) endpoints() []postfix.Endpoint {
	if err := c.loadFor("listen"); err != nil {
		c.say("warning: the config does not say where the daemon listens, so only what setup wrote is found: %v", err)
		return nil
	}
	return (&doctor.Site{Config: c.config}).Listening()
}

// isPostfix is an error when a folder has no main.cf.
func isPostfix(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "main.cf")); err != nil {
		return fmt.Errorf("no Postfix is configured in %s, and nothing was changed: %w", dir, err)
	}
	return nil
}

// unset takes all setups back. The port by which held mail returns stays as long as some may be held.
func (c *ctl) unset(ctx context.Context, reload bool) error {
	dir := c.around.postfix
	if err := isPostfix(dir); err != nil {
		return err
	}
	var port *postfix.Endpoint
	endpoints, held := c.endpoints(), ""
	if c.config != nil {
		at := doctor.Endpoint(c.config.Release.SMTP)
		if held = c.stillHeld(ctx); held != "" {
			port = &at
		}
	}
	u, err := postfix.Undo(ctx, dir, endpoints, port)
	if err != nil {
		return err
	}
	for _, place := range u.Stripped {
		c.say("the milter was also in %s: it is out", place)
	}
	for _, place := range u.Stays {
		c.say("%s was changed after the setup: it stays as it is", place)
	}
	if err := c.stillNamed(ctx, dir, endpoints); err != nil {
		return err
	}
	if u.Bypassed {
		c.say("%s: the milter was bypassed: it stays out, and setup --resume does not put it back any more", dir)
	}
	switch {
	case u.Bypassed && u.Nothing:
		return c.reloaded(ctx, &postfix.Config{Dir: dir}, reload)
	case u.Kept:
		c.say("%s: our lines are out, but for the re-injection port: %s; when all has left (%s), %s takes the port out "+
			"as well", dir, held, c.command("drain"), c.setupCommand("--undo --reload"))
	case u.Nothing:
		c.say("%s: no line of ours is there; nothing was changed", dir)
		return nil
	case u.AsBefore:
		c.say("%s: main.cf and master.cf are as they were", dir)
	default:
		c.say("%s: our lines are out; what others have changed stays", dir)
	}
	return c.reloaded(ctx, &postfix.Config{Dir: dir}, reload)
}

// stillNamed is an error when Postfix would still ask the milter, by a setting that can't be edited here.
func (c *ctl) stillNamed(ctx context.Context, dir string, endpoints []postfix.Endpoint) error {
	places, err := postfix.Named(ctx, dir, endpoints)
	if err == nil && len(places) > 0 {
		err = fmt.Errorf("%s: Postfix still asks the milter: take it out of %s by hand", dir, strings.Join(places, ", "))
	}
	return err
}

// bypass takes the milter out of all lists.
func (c *ctl) bypass(ctx context.Context, reload bool) error {
	dir := c.around.postfix
	if err := isPostfix(dir); err != nil {
		return err
	}
	endpoints := c.endpoints()
	places, err := postfix.Bypass(ctx, dir, endpoints)
	since, bypassed := postfix.Bypassed(dir)
	switch {
	case errors.Is(err, postfix.ErrNotNamed) && bypassed:
		c.say("%s: the milter is bypassed since %s", dir, local(since))
	case errors.Is(err, postfix.ErrNotNamed):
		c.say("%s: %v; nothing was changed", dir, err)
	case err != nil:
		return err
	}
	for _, place := range places {
		c.say("taken out of %s", place)
	}
	if err := c.stillNamed(ctx, dir, endpoints); err != nil {
		return err
	}
	if len(places) > 0 {
		c.say("%s: new mail passes unheld; back: %s", dir, c.setupCommand("--resume --reload"))
	}
	if len(places) == 0 && !bypassed {
		return nil
	}
	return c.reloaded(ctx, &postfix.Config{Dir: dir}, reload)
}

// unbypass puts the milter back.
func (c *ctl) unbypass(ctx context.Context, reload bool) error {
	dir := c.around.postfix
	if err := isPostfix(dir); err != nil {
		return err
	}
	if _, ok := postfix.Bypassed(dir); ok {
		if err := c.putBack(ctx); err != nil {
			return err
		}
		return c.reloaded(ctx, &postfix.Config{Dir: dir}, reload)
	}
	places, err := postfix.Named(ctx, dir, c.endpoints())
	if err != nil {
		return err
	}
	if len(places) == 0 {
		return &exit{exitNothing, dir +
			": nothing bypasses the milter, but Postfix does not ask it either: " +
			c.setupCommand("--apply --reload")}
	}
	c.say("%s: the milter is not bypassed; nothing was changed", dir)
	return nil
}

// putBack ends a bypass, and says where that was not possible.
func (c *ctl) putBack(ctx context.Context) error {
	dir := c.around.postfix
	stays, err := postfix.Resume(ctx, dir)
	if err != nil {
		return err
	}
	for _, place := range stays {
		c.say("%s is gone meanwhile: the milter is not put back there", place)
	}
	c.say("%s: the milter is back in the lists that it was in", dir)
	return nil
}

// stillHeld says why the re-injection port may be needed; "" when it is not. Without a config nothing can be.
func (c *ctl) stillHeld(ctx context.Context) string {
	const unknown = "the store does not say whether mail is held"
	switch err := c.reach(ctx); {
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
