package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
)

// shown is how many of the matches a question shows.
const shown = 10

// confirm asks before an act on several messages, of which a filter shows the first; where nobody can answer, it is
// refused.
func (a *act) confirm(ctx context.Context, n int, states ...holdstore.State) error {
	if !a.interactive(a.stdin) {
		match := map[bool]string{true: "matches", false: "match"}[n == 1]
		return usage("%s %s, and nothing was changed: look with --dry-run, then add --yes", count(n), match)
	}
	holds, err := a.look(ctx, &a.filter, shown, states...)
	if err != nil {
		return err
	}
	if err := a.holds(ctx, a.store, holds); err != nil {
		return err
	}
	if more := n - shown; more > 0 {
		a.say("... and %d more", more)
	}
	if a.unseen != nil {
		a.say("%v", a.unseen)
	}
	fmt.Fprintf(a.stderr, "%s %s%s? [y/N] ", a.name, count(n), a.forOnly())
	answer, _ := bufio.NewReader(a.stdin).ReadString('\n')
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return usage("nothing was changed")
	}
	return nil
}
