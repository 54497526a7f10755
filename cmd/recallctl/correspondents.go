package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/correspondents"
	"github.com/recall-milter/recall-milter/internal/wiring"
)

// importBatch is how many pairs of an import are written at a time.
const importBatch = 5000

func (c *ctl) correspondents() *cobra.Command {
	cmd := &cobra.Command{Use: "correspondents", Args: needsVerb, RunE: nothing}
	only := false
	forget := &cobra.Command{Use: "forget ADDRESS", Args: oneAddress, RunE: c.onStore(
		func(ctx context.Context, args []string) error { return c.forgetCorrespondent(ctx, args[0], only) })}
	forget.Flags().BoolVarP(&only, "dry-run", "n", false, "count, and forget nothing")
	cmd.AddCommand(forget,
		&cobra.Command{Use: "export", Args: c.noREF, RunE: c.onStore(c.exportCorrespondents)},
		&cobra.Command{Use: "import FILE...", Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("name a FILE, a mail log or an export, or - for standard input")
			}
			return nil
		}, RunE: c.onStore(c.importCorrespondents)})
	return cmd
}

func oneAddress(_ *cobra.Command, args []string) error {
	if len(args) != 1 || !strings.Contains(args[0], "@") {
		return usage("name one address, like anna@corp.test")
	}
	return nil
}

// correspondentKey derives the key of the hashes.
func (c *ctl) correspondentKey(ctx context.Context) ([]byte, error) {
	secret, err := wiring.GatewaySecret(ctx, c.config, c.store)
	if err != nil {
		return nil, err
	}
	return correspondents.Key(secret), nil
}

func (c *ctl) exportCorrespondents(ctx context.Context, _ []string) error {
	key, err := c.correspondentKey(ctx)
	if err != nil {
		return err
	}
	n, err := correspondents.Export(ctx, c.store, key, c.stdout)
	if err == nil {
		c.say("%d pairs", n)
	}
	return err
}

func (c *ctl) importCorrespondents(ctx context.Context, files []string) error {
	keep := time.Duration(c.config.Hold.Remember)
	local, err := c.config.Lists.Patterns(c.config.Outbound.LocalDomains)
	switch {
	case err != nil:
		return asConfig(err)
	case keep <= 0:
		return usage("hold.remember is 0: nothing is remembered")
	case len(local) == 0:
		return usage("nothing was learned: outbound.local_domains is empty: name your domains there, in %s", c.file)
	}
	key, err := c.correspondentKey(ctx)
	if err != nil {
		return err
	}
	isLocal := func(address string) bool { return local.Match(holdstore.DomainOf(address)) }
	for _, file := range files {
		n, err := c.importOne(ctx, file, key, keep, isLocal)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		c.say("%s: %d exchanges of mail", file, n)
	}
	a := &act{ctl: c}
	return c.store.Audit(ctx, "correspondents import", "", a.who(), fmt.Sprintf("%d files", len(files)))
}

// importOne imports a file. Pairs that come often are written once in each batch.
func (c *ctl) importOne(ctx context.Context, file string, key []byte, keep time.Duration,
	isLocal func(string) bool) (n int, err error) {
	from, err := opened(file, c.stdin)
	if err != nil {
		return 0, err
	}
	defer from.Close()
	some := map[holdstore.Pair]bool{}
	write := func() error {
		all := make([]holdstore.Pair, 0, len(some))
		for p := range some {
			all = append(all, p)
		}
		clear(some)
		return c.store.Acquaint(ctx, all, keep)
	}
	err = correspondents.Import(from, key, time.Now(), isLocal, func(pairs []holdstore.Pair) error {
		n++
		for _, p := range pairs {
			some[p] = true
		}
		if len(some) < importBatch {
			return nil
		}
		return write()
	})
	if errors.Is(err, correspondents.ErrOtherSecret) {
		return 0, usage("%v", err)
	}
	return n, errors.Join(err, write())
}

func (c *ctl) forgetCorrespondent(ctx context.Context, address string, only bool) error {
	n, err := c.pairsOf(ctx, &act{ctl: c}, address, only)
	switch {
	case err != nil:
		return err
	case n == 0:
		return &exit{exitNothing, address + " is not among the correspondents"}
	case only:
		c.say("%d pairs would be forgotten", n)
	default:
		c.say("%d pairs are forgotten", n)
	}
	return nil
}

// pairsOf counts the pairs of correspondents that a person is in, and forgets them unless it is only to count. The
// audit trail says how many went, and not of whom.
func (c *ctl) pairsOf(ctx context.Context, a *act, address string, count bool) (n int, err error) {
	key, err := c.correspondentKey(ctx)
	if err != nil {
		return 0, fmt.Errorf("who has written to whom can't be found: %w", err)
	}
	n, err = c.store.ForgetCorrespondent(ctx, correspondents.Name(key, address), count)
	if err := c.part(err); err != nil || count || n == 0 {
		return n, err
	}
	return n, c.store.Audit(ctx, "correspondents forget", "", a.who(), fmt.Sprintf("%d pairs", n))
}
