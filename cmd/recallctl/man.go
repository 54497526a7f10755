package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// man writes the manual page recallctl(1) from the commands themselves; packages are built with it.
func (c *ctl) man() *cobra.Command {
	return &cobra.Command{Use: "man", Hidden: true, Args: c.noREF, RunE: func(cmd *cobra.Command, _ []string) error {
		_, err := fmt.Fprint(c.stdout, page(cmd.Root()))
		return err
	}}
}

func page(root *cobra.Command) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line(`.TH RECALLCTL 1 "" "Recall Milter"`)
	line(".SH NAME\nrecallctl \\- %s", roff(root.Short))
	line(".SH SYNOPSIS\n.B recallctl\n[\\-c FILE] [\\-\\-json] VERB ...")
	line(".SH DESCRIPTION\nIt works straight on the hold store, also while the daemon is down. A REF is a hold ID, a " +
		"Message\\-ID or a queue ID;\n\\- reads REFs from standard input. Filters stand in place of REFs; several matches " +
		"ask first, and need \\-\\-yes where nobody can answer.")
	line(".SH OPTIONS")
	root.PersistentFlags().VisitAll(option(line))
	line(".SH VERBS")
	for _, verb := range root.Commands() {
		if verb.Hidden || verb.Name() == "help" || verb.Name() == "completion" {
			continue
		}
		line(".SS %s\n%s.", roff(verb.Use), roff(verb.Short))
		verb.LocalNonPersistentFlags().VisitAll(option(line))
		for _, sub := range verb.Commands() {
			line(".TP\n.B %s %s\n%s.", roff(verb.Name()), roff(sub.Use), roff(sub.Short))
			sub.LocalNonPersistentFlags().VisitAll(option(line))
		}
	}
	line(".SH EXIT STATUS")
	for _, e := range [][2]string{{"0", "all done"}, {"1", "nothing matched"},
		{"2", "some or all were too late, or could not be sent; each is said on its line"},
		{"64", "the command is wrong, and nothing was changed"}, {"69", "the store can't be reached or written"},
		{"77", "not allowed"}, {"78", "the config is wrong"}} {
		line(".TP\n.B %s\n%s", e[0], roff(e[1]))
	}
	line(".SH FILES\n.I /etc/recall\\-milter/recall\\-milter.toml\n.SH SEE ALSO\n.BR recall\\-milter (8),\n.BR " +
		"recall\\-milter.toml (5)")
	return b.String()
}

func option(line func(string, ...any)) func(*pflag.Flag) {
	return func(f *pflag.Flag) {
		if f.Name == "help" || f.Name == "version" {
			return
		}
		value, words := pflag.UnquoteUsage(f)
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		line(".TP\n.BR \"%s\" \" %s\"\n%s", roff(name), roff(value), roff(words))
	}
}

// roff keeps text from being taken for commands of the formatter.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, `"`, `\(dq`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}
