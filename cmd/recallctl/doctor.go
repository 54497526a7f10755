package main

import (
	"errors"
	"fmt"
	"net/mail"
	"os"
	"strings"

	"github.com/mattn/go-runewidth"
	"github.com/spf13/cobra"

	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/doctor"
	"github.com/recall-milter/recall-milter/internal/hint"
	"github.com/recall-milter/recall-milter/internal/sanitize"
	"github.com/recall-milter/recall-milter/internal/wiring"
)

// Exit codes of doctor, as monitoring plugins have them.
const (
	exitWarnings = 1
	exitErrors   = 2
)

// surroundings are what of the machine is looked at.
type surroundings struct {
	postfix, sendmail, user, probe string
	mailboxes                      []string
}

func (c *ctl) doctor() *cobra.Command {
	var o surroundings
	cmd := &cobra.Command{Use: "doctor",
		Short: "Look for every cause of lost, unheld, late or duplicate mail, and say how to fix it",
		Long: "Look for every cause of lost, unheld, late or duplicate mail, and say how to fix it. Nothing is changed.\n" +
			"Notes are for some sites only: nothing is known to be wrong. What can't be looked at is a warning.\n" +
			"/usr/share/doc/recall-milter/docs/doctor.md explains each finding under its name, " +
			"which --json gives as \"check\".\n\n" +
			"Exit codes: 0 no errors and no warnings, 1 warnings, 2 errors.",
		Example: "  recallctl doctor\n  recallctl doctor --probe you@corp.test   # also sends a message by every way in, " +
			"and takes it back\n  recallctl doctor --mailbox you@corp.test # also opens that mailbox, as a recall would",
		Args: c.noREF}
	o.flags(cmd)
	cmd.Flags().StringVar(&o.probe, "probe", "",
		"send messages for `ADDRESS` by every way in, see that each is held, and recall them: nothing is sent")
	cmd.Flags().StringArrayVar(&o.mailboxes, "mailbox", nil, "open the mailbox of the user `ADDRESS`, as a recall "+
		"would, and change nothing there (again for more)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		for _, address := range o.mailboxes {
			if a, err := mail.ParseAddress(address); err != nil || a.Address != address {
				return usage("invalid --mailbox %q: use an address like you@corp.test", address)
			}
		}
		if a, err := mail.ParseAddress(o.probe); o.probe != "" && (err != nil || a.Address != o.probe) {
			return usage("invalid --probe %q: use an address like you@corp.test", o.probe)
		}
		site, found := c.site(&o)
		if site != nil {
			found = doctor.Examine(cmd.Context(), site)
		}
		c.findings(found)
		return verdictOf(found)
	}
	return cmd
}

func (o *surroundings) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.postfix, "postfix", "", "Postfix's configuration `DIR` (default /etc/postfix)")
	cmd.Flags().StringVar(&o.sendmail, "sendmail", "",
		"Sendmail's configuration `FILE` (default /etc/mail/sendmail.cf, when there is no Postfix)")
	cmd.Flags().StringVar(&o.user, "user", doctor.DaemonUser, "the `USER` that the daemon runs as")
}

// site gathers what is looked at. Without a usable config there is nothing but the finding that says so.
func (c *ctl) site(o *surroundings) (*doctor.Site, []doctor.Finding) {
	var err error
	if c.config, err = config.Load(c.file); err != nil {
		return nil, c.configFindings(err)
	}
	// what is wrong with the keys is said by the checks of files; Redis can be looked at without
	if c.store, err = wiring.Store(c.config); err != nil {
		keyless := *c.config
		keyless.Seal.KeyFile = ""
		c.store, err = wiring.Store(&keyless)
	}
	s := &doctor.Site{File: c.file, Config: c.config, Store: c.store, NoStore: err, Version: version, User: o.user,
		Postfix: o.postfix, Sendmail: o.sendmail, Probe: o.probe, Mailboxes: o.mailboxes,
		Act: (&act{ctl: c, name: "doctor", reason: "a probe"}).who()}
	if s.Postfix == "" && s.Sendmail == "" {
		s.Postfix, s.Sendmail = hint.PostfixDir, doctor.SendmailFile
		if _, err := os.Stat(s.Postfix); err == nil {
			s.Sendmail = ""
		}
	}
	return s, nil
}

// configFindings say why there is no config, each of its errors by itself.
func (c *ctl) configFindings(err error) (found []doctor.Finding) {
	add := func(check, text, fix string) {
		found = append(found, doctor.Finding{Check: check, Level: doctor.Error, Text: text, Fix: fix})
	}
	var wrong config.Problems
	errors.As(err, &wrong)
	for _, p := range wrong {
		add("config.valid", fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Text),
			"by hand: only you know what the line should say: correct it, then: recall-milter -t -c "+hint.Quoted(c.file))
	}
	switch beyond := ": nothing else could be checked"; {
	case len(wrong) > 0:
	case errors.Is(err, os.ErrNotExist):
		add("config.missing", err.Error()+beyond,
			"by hand: only you know where it is: name it with -c FILE, or put the packaged one back")
	default:
		add("config.unreadable", err.Error()+beyond, "sudo "+c.command("doctor"))
	}
	return found
}

// verdictOf turns findings into doctor's exit code; all words are said already.
func verdictOf(found []doctor.Finding) error {
	switch doctor.Worst(found) {
	case doctor.Error:
		return &exit{code: exitErrors}
	case doctor.Warning:
		return &exit{code: exitWarnings}
	}
	return nil
}

// findings writes one line a finding, and a summary.
func (c *ctl) findings(found []doctor.Finding) {
	count := map[doctor.Level]int{}
	width, _ := c.size()
	for _, f := range found {
		count[f.Level]++
		if c.json {
			c.encode(f)
			continue
		}
		for _, line := range findingLines(f, width) {
			fmt.Fprintln(c.stdout, line)
		}
	}
	if !c.json {
		fmt.Fprintf(c.stdout, "%s, %s, %s, %d fine\n", plural(count[doctor.Error], "error"),
			plural(count[doctor.Warning], "warning"),
			plural(count[doctor.Note], "note"), count[doctor.OK])
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// findingLines is one line, or where a terminal is too narrow, several: the fix, which is to be copied, begins its
// own.
func findingLines(f doctor.Finding, width int) []string {
	area, _, _ := strings.Cut(f.Check, ".")
	const margin = 9
	head := fmt.Sprintf("%-*s%s: %s", margin, f.Level, area, sanitize.TerminalCell(f.Text))
	fix := sanitize.TerminalCell(f.Fix)
	if fix == "" && (width == 0 || runewidth.StringWidth(head) <= width) {
		return []string{head}
	}
	if one := head + " — " + fix; fix != "" && (width == 0 || runewidth.StringWidth(one) <= width) {
		return []string{one}
	}
	lines := wrapped(head, width, margin)
	if fix != "" {
		lines = append(lines, wrapped(strings.Repeat(" ", margin)+"— "+fix, width, margin+2)...)
	}
	return lines
}

// wrapped breaks text between words; lines after the first are indented.
func wrapped(text string, width, indent int) []string {
	var lines []string
	line := ""
	for _, word := range strings.SplitAfter(text, " ") {
		if line != "" && strings.TrimSpace(line) != "" && runewidth.StringWidth(strings.TrimRight(line+word, " ")) > width {
			lines = append(lines, strings.TrimRight(line, " "))
			line = strings.Repeat(" ", indent)
		}
		line += word
	}
	return append(lines, strings.TrimRight(line, " "))
}
