package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/web"
	"github.com/recall-milter/recall-milter/internal/wiring"
	"github.com/recall-milter/recall-milter/policy"
)

func (c *ctl) token() *cobra.Command {
	cmd := &cobra.Command{Use: "token", Args: needsVerb, RunE: nothing}
	cmd.AddCommand(c.tokenNew(), &cobra.Command{Use: "list", Args: c.noREF, RunE: c.onStore(c.tokenList)},
		&cobra.Command{Use: "revoke NAME", Args: oneName, RunE: c.onStore(c.tokenRevoke)})
	return cmd
}

func oneName(_ *cobra.Command, args []string) error {
	if len(args) != 1 || strings.TrimSpace(args[0]) == "" || len(args[0]) > 100 {
		return usage("name the token: one word or text of at most 100 bytes")
	}
	return nil
}

func (c *ctl) tokenNew() *cobra.Command {
	var t web.Token
	var expires string
	cmd := &cobra.Command{Use: "new NAME", Args: oneName}
	cmd.Flags().StringVar(&t.Scope, "scope", "", "what it may do: `read`, act or admin")
	cmd.Flags().StringArrayVar(&t.For, "for", nil,
		"act only for logins that match this `pattern`, several times for several; each call names one of them")
	cmd.Flags().StringVar(&expires, "expires", "",
		"how long it is valid, as a `duration` like 90d (default: until it is revoked)")
	cmd.RunE = c.onStore(func(ctx context.Context, args []string) error {
		if !slices.Contains(web.Scopes, t.Scope) {
			return usage("token new needs --scope read, act or admin%s", isNot(t.Scope, "one of them"))
		}
		if _, err := policy.ParsePatterns(t.For); err != nil {
			return usage("--for: %v", err)
		}
		if config.OnlyExcludes(t.For) {
			return usage("--for only excludes logins: add --for '*' if the token is for every other one")
		}
		if t.Scope == web.ScopeAdmin && len(t.For) > 0 {
			return usage("a token for some logins can't have the scope admin, which is for the whole site")
		}
		t.Name, t.Made = args[0], time.Now().UTC().Truncate(time.Second)
		if expires != "" {
			d, err := config.ParseDuration(expires)
			if err != nil || d == 0 {
				return usage("--expires: %q is not a duration like 90d", expires)
			}
			t.Expires = t.Made.Add(d)
		}
		return c.makeToken(ctx, t)
	})
	return cmd
}

func (c *ctl) makeToken(ctx context.Context, t web.Token) error {
	m, err := c.marker(ctx)
	if err != nil {
		return err
	}
	token, err := web.NewToken(ctx, c.store, m, t)
	if errors.Is(err, web.ErrTokenName) {
		return usage("%v: revoke that first, or use another name", err)
	}
	if err != nil {
		return err
	}
	a := &act{ctl: c}
	if err := c.store.Audit(ctx, "token new", "", a.who(), t.Name+", scope "+t.Scope); err != nil {
		return err
	}
	fmt.Fprintln(c.stdout, token)
	c.say("this is shown only now; only a hash of it is kept. Send it as: Authorization: Bearer TOKEN")
	return nil
}

func (c *ctl) tokenList(ctx context.Context, _ []string) error {
	m, err := c.marker(ctx)
	if err != nil {
		return err
	}
	all, foreign, partly := web.TokenList(ctx, c.store, m)
	if partly != nil && !errors.Is(partly, holdstore.ErrPartial) {
		return partly
	}
	var rows [][]string
	for _, t := range all {
		ends := "-"
		if !t.Expires.IsZero() {
			ends = local(t.Expires)
		}
		if c.json {
			c.encode(t)
		}
		rows = append(rows, []string{t.Name, t.Scope, strings.Join(t.For, ","), local(t.Made), ends})
	}
	if foreign > 0 {
		c.say("%d records of tokens were not made with this gateway's secret: they are not valid", foreign)
	}
	if len(all) == 0 && partly == nil {
		c.say("no token has been made")
	} else if len(all) > 0 && !c.json {
		c.table([]string{"NAME", "SCOPE", "FOR", "MADE", "EXPIRES"}, rows)
	}
	return partly
}

func (c *ctl) tokenRevoke(ctx context.Context, args []string) error {
	m, err := c.marker(ctx)
	if err != nil {
		return err
	}
	all, _, err := web.TokenList(ctx, c.store, m)
	if err != nil && !errors.Is(err, holdstore.ErrPartial) {
		return err
	}
	n := slices.IndexFunc(all, func(t web.Token) bool { return t.Name == args[0] })
	if n < 0 {
		return cmp.Or(err, error(&exit{exitNothing, fmt.Sprintf("token %q does not exist", args[0])}))
	}
	if err := c.store.RemoveToken(ctx, all[n].Digest); err != nil {
		return fmt.Errorf("token %s might still be valid, revoke it again: %w", args[0], err)
	}
	a := &act{ctl: c}
	c.say("token %s is revoked", args[0])
	return c.store.Audit(ctx, "token revoke", "", a.who(), args[0])
}

// marker returns what signs with the gateway's secret.
func (c *ctl) marker(ctx context.Context) (*mark.Marker, error) {
	if c.ignores("secret_file") {
		return nil, usage("the config has an error in secret_file")
	}
	secret, err := wiring.GatewaySecret(ctx, c.config, c.store)
	if err != nil {
		return nil, err
	}
	return mark.New(secret), nil
}
