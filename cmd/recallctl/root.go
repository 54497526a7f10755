package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/maillog"
	"github.com/recall-milter/recall-milter/internal/wiring"
)

// ctl is one invocation.
type ctl struct {
	stdin io.Reader
	*screen

	file     string
	around   surroundings // of setup and doctor
	config   *config.Config
	ignored  config.Problems // of the config, in what the verb does not need
	warned   bool            // of them
	store    *holdstore.Store
	mailLog  *maillog.Log // nil: not yet opened
	syslog   string       // a socket of syslog, for tests; empty: that of the system
	sure     bool         // --yes: a Message-ID may name several
	several  bool         // any REF may name several, as nothing is changed
	onlyREFs bool         // the verb has no filters
	unseen   error        // what of the store could not be seen; the verb has done the rest
}

func (c *ctl) close() {
	if c.store != nil {
		c.store.Close()
	}
}

// root has all verbs. A new one is added here; its help (help.go, or in the command) has at least two examples and its
// exit codes, and docs/recallctl.md shows it. One that changes holds is made by verb (act.go).
func (c *ctl) root() *cobra.Command {
	root := &cobra.Command{Use: "recallctl", Short: "See, recall, release and restore held mail", Version: version,
		SilenceErrors: true, SilenceUsage: true}
	root.PersistentFlags().StringVarP(&c.file, "config", "c", config.DefaultFile, "config `file`")
	root.PersistentFlags().BoolVar(&c.json, "json", false, "one JSON object a line")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%s%s; see %s --help", flawed(err), meant(cmd, err), cmd.CommandPath())
	})
	root.AddCommand(c.list(), c.show(), c.recall(), c.release(), c.extend(), c.restore(), c.pause(), c.resume(),
		c.drain(), c.retract(), c.export(), c.watch(), c.log(), c.stats(), c.test(), c.policy(), c.key(), c.token(),
		c.correspondents(), c.link(), c.forget(), c.fsck(), c.doctor(), c.setup(), c.man())
	explain(root, "")
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	strict(root)
	return root
}

// strict makes what cobra's own verbs don't know an error, as it is for ours: help on no verb, completion for no shell.
func strict(root *cobra.Command) {
	for _, verb := range root.Commands() {
		switch verb.Name() {
		case "help":
			verb.Args = func(_ *cobra.Command, args []string) error {
				_, _, err := root.Find(args)
				return err
			}
		case "completion":
			verb.Args, verb.RunE = needsVerb, nothing
		}
	}
}

// needsVerb refuses a call of a verb that only has verbs below it.
func needsVerb(cmd *cobra.Command, args []string) error {
	var verbs []string
	for _, verb := range cmd.Commands() {
		verbs = append(verbs, verb.Name())
	}
	last := len(verbs) - 1
	known := cmd.Commands()[last].Use
	if last > 0 {
		known = strings.Join(verbs[:last], ", ") + " or " + verbs[last]
	}
	if len(args) > 0 {
		return usage("unknown command %q: use %s %s; see %[2]s --help", args[0], cmd.CommandPath(), known)
	}
	return usage("say what: %s %s; see %[1]s --help", cmd.CommandPath(), known)
}

// nothing is what a verb with needsVerb does, as cobra asks for arguments only where there is something to run.
func nothing(*cobra.Command, []string) error { return nil }

// unknown ends cobra's error about an unknown verb, which can have a list of similar ones, with where all are.
func unknown(err error) error {
	words, similar := strings.TrimSpace(err.Error()), "\n"
	if !strings.Contains(words, similar) {
		return usage("%s; see recallctl --help", words)
	}
	return usage("%s\n\nall commands: recallctl --help", words)
}

// flawed says what is wrong with a flag; of a value that can't be read, without the words of Go's parsers.
func flawed(err error) string {
	var value *pflag.InvalidValueError
	if !errors.As(err, &value) {
		return err.Error()
	}
	use := ""
	switch flag := value.GetFlag(); flag.Value.Type() {
	case "bool":
		use = fmt.Sprintf(": write --%s alone, or --%[1]s=false", flag.Name)
	case "int", "int64":
		use = ": use a number"
	case "string":
		use = ": it is empty, and would select everything"
	}
	return fmt.Sprintf("invalid --%s %q%s", value.GetFlag().Name, value.GetValue(), use)
}

// meant suggests the flag that somebody wrote in the plural.
func meant(cmd *cobra.Command, err error) string {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return ""
	}
	name := strings.TrimSuffix(unknown.GetSpecifiedName(), "s")
	if cmd.Flags().Lookup(name) == nil {
		return ""
	}
	return ": use --" + name
}

// onStore runs a verb that needs the store.
func (c *ctl) onStore(do func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := c.reach(cmd.Context()); err != nil {
			return err
		}
		return c.outcome(do(cmd.Context(), args))
	}
}

// outcome is how a verb ended. That some of the store was not seen counts more than what became of the rest.
func (c *ctl) outcome(err error) error {
	if c.unseen == nil {
		return err
	}
	switch code(err) {
	case 0:
		return again(c.unseen)
	case exitNothing, exitTooLate:
		return again(fmt.Errorf("%v; %w", err, c.unseen))
	}
	return err
}

// again says what to do about a part of the store that is away.
func again(err error) error { return fmt.Errorf("%w; run this again when it is back", err) }

// part lets a verb go on with what can be seen; what can't be is said at the end.
func (c *ctl) part(err error) error { return c.partly("there may be more", err) }

// partly is part for what a verb did not do otherwise than by not seeing it. What is said first stays.
func (c *ctl) partly(what string, err error) error {
	if !errors.Is(err, holdstore.ErrPartial) {
		return err
	}
	if c.unseen == nil {
		c.unseen = fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// needed are the keys without which another store could be opened, or held mail be kept too short.
var needed = []string{"redis", "seal", "record_retention", "recall.retention"}

// reach opens the store, which must answer.
func (c *ctl) reach(ctx context.Context) error {
	if err := c.open(); err != nil {
		return err
	}
	return c.store.Answers(ctx)
}

// open opens the store. In an emergency other parts of the config may have errors, and the seal keys may be gone: it
// goes on without them, and says so.
func (c *ctl) open() error {
	if err := c.loadFor(needed...); err != nil {
		return err
	}
	store, err := wiring.Store(c.config)
	if c.config.Seal.KeyFile != "" && err != nil && !errors.Is(err, fs.ErrPermission) {
		keyless := *c.config
		keyless.Seal.KeyFile = ""
		if without, wrong := wiring.Store(&keyless); wrong == nil {
			c.say("warning: sealed mail can't be read: %v", err)
			store, err = without, nil
		}
	}
	if err != nil {
		return asConfig(err)
	}
	c.store = store
	return nil
}

// load reads the config for a verb that needs all of it.
func (c *ctl) load() (err error) {
	if c.config, err = config.Load(c.file); err != nil {
		return asConfig(err)
	}
	c.reasons = wiring.Reason(c.config)
	return nil
}

// loadFor reads the config for a verb that needs some keys, and warns of errors in others.
func (c *ctl) loadFor(keys ...string) (err error) {
	if c.config, c.ignored, err = config.LoadFor(c.file, keys...); err != nil {
		return asConfig(err)
	}
	c.reasons = wiring.Reason(c.config)
	if len(c.ignored) > 0 && !c.warned {
		c.warned = true
		c.say("warning: the config has errors, which do not matter here; a daemon would not start with it:\n%v", c.ignored)
	}
	return nil
}

// ignores says whether the config has errors in a key or table, so that its values are not what somebody wanted.
func (c *ctl) ignores(key string) bool {
	return slices.ContainsFunc(c.ignored, func(p config.Problem) bool {
		return p.Key == "" || p.Key == key || strings.HasPrefix(p.Key, key+".")
	})
}

// asConfig gives an error of the config its exit code, unless the user merely may not read it.
func asConfig(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return err
	}
	text, inside := err.Error(), config.Problems(nil)
	if errors.Is(err, fs.ErrNotExist) && !errors.As(err, &inside) {
		text += "; name another one with -c FILE"
	}
	return &exit{exitConfig, text}
}
