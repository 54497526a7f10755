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

// confirm asks before an act on several messages; where nobody can answer, it is refused.
func (a *act) confirm(ctx context.Context, holds []*holdstore.Hold) error {
	if !a.interactive(a.stdin) {
		return usage("%s match, and nothing was changed: look with --dry-run, then add --yes", count(len(holds)))
	}
	a.holds(ctx, a.store, holds[:min(len(holds), shown)])
	if more := len(holds) - shown; more > 0 {
		a.say("... and %d more", more)
	}
	fmt.Fprintf(a.stderr, "%s %s? [y/N] ", a.name, count(len(holds)))
	answer, _ := bufio.NewReader(a.stdin).ReadString('\n')
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return usage("nothing was changed")
	}
	return nil
}
