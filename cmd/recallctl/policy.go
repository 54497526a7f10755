package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/inbound"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/sanitize"
	"github.com/recall-milter/recall-milter/internal/trial"
	"github.com/recall-milter/recall-milter/internal/wiring"
	"github.com/recall-milter/recall-milter/policy"
)

// stranger is a message as if it came in now, and its envelope.
type stranger struct {
	client, helo, sender string
	recipients           []string
	queueID              string
}

func (c *ctl) policy() *cobra.Command {
	cmd := &cobra.Command{Use: "policy", Args: needsVerb, RunE: nothing}
	var s stranger
	test := &cobra.Command{Use: "test FILE",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("policy test needs one FILE with a message, or - for standard input")
			}
			return nil
		}}
	flags := test.Flags()
	flags.StringVar(&s.client, "client", "", "client `address`; none: SPF is not asked")
	flags.StringVar(&s.helo, "helo", "", "`name` that the client said in EHLO")
	flags.StringVar(&s.sender, "sender", "", "envelope sender, an `address`; <> is the null sender")
	flags.StringVar(&s.queueID, "queue-id", "",
		"the MTA's queue `ID`: with it, fields of earlier milters named in inbound.trust are believed")
	flags.StringSliceVar(&s.recipients, "recipient", nil, "envelope recipients, `addresses`")
	test.RunE = func(cmd *cobra.Command, args []string) error { // a store that is away is one of its answers
		if err := c.open(); err != nil {
			return err
		}
		return c.outcome(c.judged(cmd.Context(), &s, args[0]))
	}
	cmd.AddCommand(test)
	return cmd
}

// judged prints what the gate thinks, and changes nothing: neither mail nor the memory of what was used.
func (c *ctl) judged(ctx context.Context, s *stranger, file string) error {
	from, err := opened(file, c.stdin)
	if err != nil {
		return err
	}
	defer from.Close()
	m, err := s.mail(from)
	if err != nil {
		return err
	}
	m.Gateway, _ = os.Hostname()
	gate, err := wiring.Gate(c.config, glance{c.store}, nil, teller{c.screen})
	if err != nil {
		return asConfig(err)
	}
	o := gate.Assess(ctx, m)
	if c.json {
		err = c.encode(assessmentLine(o))
	} else {
		c.explain(o)
	}
	if err != nil {
		return err
	}
	return worth(o)
}

// mail is what the milter would know at the end of the message.
func (s *stranger) mail(from io.Reader) (*inbound.Mail, error) {
	if s.sender == "" || len(s.recipients) == 0 {
		return nil, usage("--sender and --recipient are needed: a verdict depends on them")
	}
	if _, err := netip.ParseAddr(s.client); err != nil && s.client != "" {
		return nil, usage("invalid IP address %q in --client", s.client)
	}
	r := bufio.NewReader(io.LimitReader(from, trial.Most))
	fields, err := trial.ReadHeader(r)
	if err != nil {
		return nil, usage("%v", err)
	}
	body, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("the message can't be read: %w", err)
	}
	body = []byte(trial.CRLF(string(body)))
	m := &inbound.Mail{Message: mailmsg.Message{Fields: fields, Body: body[:min(len(body), mailmsg.MaxBody)],
		Cut: len(body) > mailmsg.MaxBody}}
	m.QueueID = s.queueID
	m.Client = holdstore.Client{Address: s.client, HELO: s.helo}
	m.Sender.Address = strings.Trim(s.sender, "<>")
	for _, f := range fields {
		if m.MessageID == "" && strings.EqualFold(f.Name, "Message-ID") {
			m.MessageID = policy.MessageID(f.Value)
		}
	}
	for _, a := range s.recipients {
		m.Recipients = append(m.Recipients, holdstore.Path{Address: strings.Trim(a, "<>")})
	}
	return m, nil
}

// assessment is what a mail is worth, in JSON.
type assessment struct {
	Form      string      `json:"form"`
	Verdict   string      `json:"verdict"`
	Reason    string      `json:"reason"`
	Target    string      `json:"target"`
	Domain    string      `json:"domain"`
	DKIM      []signature `json:"dkim"`
	SPF       string      `json:"spf"`
	DMARC     string      `json:"dmarc"`
	ARC       string      `json:"arc,omitempty"`
	Believed  []string    `json:"believed"`
	Doubt     string      `json:"doubt,omitempty"`
	AlignedBy string      `json:"aligned_by"`
	Bare      string      `json:"uncovered,omitempty"`
	Rule      string      `json:"rule"`
	Steps     []string    `json:"steps"`
	Reply     string      `json:"reply"`
}

type signature struct {
	Domain string `json:"domain"`
	Result string `json:"result"`
	Reason string `json:"reason,omitempty"`
}

func assessmentLine(o inbound.Assessment) assessment {
	e := o.Evidence
	line := assessment{Form: o.Recall.Form, Verdict: o.Verdict.Result, Reason: o.Verdict.Reason, Target: o.Verdict.Target,
		Domain: e.From,
		DKIM:   []signature{}, SPF: e.SPF, DMARC: e.DMARC, ARC: e.ARC.Result, Believed: append([]string{}, e.Believed...),
		Doubt:     e.Doubt,
		AlignedBy: e.By, Bare: e.Bare, Rule: o.Verdict.Rule, Steps: append([]string{}, o.Verdict.Steps...),
		Reply: o.Disposition.Reply}
	for _, s := range e.DKIM {
		line.DKIM = append(line.DKIM, signature{s.Domain, s.Result, s.Reason})
	}
	return line
}

// explain prints the evidence, each step, the verdict, and what becomes of the mail.
func (c *ctl) explain(o inbound.Assessment) {
	line := func(format string, args ...any) {
		fmt.Fprintln(c.stdout, sanitize.TerminalCell(fmt.Sprintf(format, args...)))
	}
	if o.Recall.Form == "" {
		line("no recall command: delivered as ordinary mail")
		return
	}
	e := o.Evidence
	line("form: %s", o.Recall.Form)
	for _, s := range e.DKIM {
		line("dkim: %s %s %s", s.Result, s.Domain, s.Reason)
	}
	if len(e.DKIM) == 0 {
		line("dkim: none")
	}
	line("spf: %s %s", e.SPF, e.SPFDomain)
	if e.ARC.Result != "" {
		line("arc: %s %s %s", e.ARC.Result, e.ARC.Domain, e.ARC.Reason)
	}
	if len(e.Believed) > 0 {
		line("believed of an earlier milter: %s", strings.Join(e.Believed, ", "))
	}
	if e.Doubt != "" {
		line("no earlier milter is believed: %s", e.Doubt)
	}
	line("dmarc: %s, From is of %s, aligned by %s", e.DMARC, cmp.Or(e.From, "no domain"), cmp.Or(e.By, "nothing"))
	for _, t := range o.Facts.Targets {
		line("may mean: %s of %s, same From: %v, same recipients: %v, opened by a Cancel-Key: %v%s", t.MessageID,
			t.At.Format(time.RFC3339), t.SameFrom, t.SameTo, t.Unlocked, map[bool]string{true: ", the sender's own"}[t.Own])
	}
	if e.Bare != "" {
		line("not covered by the signature: %s", e.Bare)
	}
	line("rule: %s", o.Verdict.Rule)
	for _, step := range o.Verdict.Steps {
		line("%s", step)
	}
	line("%s: %s %s", o.Verdict.Result, o.Verdict.Reason, o.Verdict.Target)
	switch {
	case o.Disposition.Reply != "":
		line("refused: %s", o.Disposition.Reply)
	case o.Disposition.Quarantine != "":
		line("quarantined: %s", o.Disposition.Quarantine)
	default:
		line("delivered with %s: %s", o.Disposition.Add[0].Name, o.Disposition.Add[0].Value)
	}
}

// worth is the exit code of a verdict.
func worth(o inbound.Assessment) error {
	switch o.Verdict.Result {
	case policy.InboundPass:
		return nil
	case policy.InboundFail:
		return &exit{exitNotAllowed, "the recall would be refused"}
	case policy.InboundTemp:
		return &exit{exitStore, "the recall could not be checked"}
	}
	return &exit{exitNothing, "the mail would recall nothing"}
}

// glance is the memory of the gate for one that only looks.
type glance struct{ *holdstore.Store }

func (g glance) FirstUse(ctx context.Context, what, user string, _ time.Duration) (bool, error) {
	spent, err := g.Used(ctx, what, user)
	return !spent, err
}

func (g glance) Count(ctx context.Context, per time.Duration, all ...holdstore.Tally) ([]int, error) {
	return g.Counts(ctx, per, all...)
}

// teller is a log on a screen.
type teller struct{ s *screen }

func (t teller) Judged(holdstore.Submission, string, string, policy.InboundVerdict) {}

func (t teller) Trouble(what string, err error) { t.s.say("%s: %v", what, err) }

func (teller) Recovered(string, time.Duration) {}
