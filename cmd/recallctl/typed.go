package main

import (
	"github.com/recall-milter/recall-milter/internal/doctor"
	"github.com/recall-milter/recall-milter/internal/hint"
)

// command is how a verb of recallctl is typed that goes on with what this call did: for the same config.
func (c *ctl) command(verb string) string { return hint.Recallctl(c.file, verb) }

// setupCommand is command for setup with some flags, for the same Postfix and the same daemon.
func (c *ctl) setupCommand(flags string) string {
	if dir := c.around.postfix; dir != "" && dir != hint.PostfixDir {
		flags += " --postfix " + hint.Quoted(dir)
	}
	if user := c.around.user; user != doctor.DaemonUser {
		flags += " --user " + hint.Quoted(user)
	}
	return c.command("setup " + flags)
}
