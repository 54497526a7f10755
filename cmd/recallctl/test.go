package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/sanitize"
	"github.com/recall-milter/recall-milter/internal/socketmap"
	"github.com/recall-milter/recall-milter/internal/trial"
	"github.com/recall-milter/recall-milter/internal/wiring"
	"github.com/recall-milter/recall-milter/policy"
)

// verdict is what a message would meet, in JSON.
type verdict struct {
	Hold   bool      `json:"hold"`
	Rule   string    `json:"rule"`
	Grace  string    `json:"grace"`
	Until  time.Time `json:"until,omitzero"` // when it would leave, where the rule or a wish names that moment
	Reason string    `json:"reason"`
	Steps  []string  `json:"steps"`
}

// attempt is what the flags say of a message that is not sent.
type attempt struct {
	sender, login, client, daemonName, at, own string
	recipients                                 []string
	anySender                                  bool // none is given, so that of From is taken
}

func (c *ctl) test() *cobra.Command {
	var t attempt
	cmd := &cobra.Command{Use: "test FILE"}
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usage("test needs one FILE with a message, or - for standard input")
		}
		return nil
	}
	flags := cmd.Flags()
	flags.StringVar(&t.sender, "sender", "",
		"envelope sender, an `address`; <> is the null sender (default the address in From)")
	flags.StringSliceVar(&t.recipients, "recipient", nil, "envelope recipients, `addresses`")
	flags.StringVar(&t.login, "login", "", "SASL `login`")
	flags.StringVar(&t.client, "client", "127.0.0.1", "client `address`")
	flags.StringVar(&t.daemonName, "daemon-name", "", "`name` of the MTA's service (milter_macro_daemon_name)")
	flags.StringVar(&t.own, "own-grace", "", "the `grace` that the sender has chosen (hold.own_grace)")
	flags.StringVar(&t.at, "at", "", "`moment` at which it would come, in the zone of hold.zone (default now)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		t.anySender = !flags.Changed("sender")
		return c.tried(cmd.Context(), &t, args[0])
	}
	return cmd
}

func (c *ctl) tried(ctx context.Context, t *attempt, file string) error {
	if err := c.load(); err != nil {
		return err
	}
	rules, err := wiring.Outbound(c.config)
	if err != nil {
		return asConfig(err)
	}
	m, err := t.message(c.config)
	if err != nil {
		return err
	}
	from, err := opened(file, c.stdin)
	if err != nil {
		return err
	}
	defer from.Close()
	text := io.Reader(from)
	if t.anySender {
		text = c.assumed(&m, from)
	}
	maps := &socketmap.Client{Log: teller{c.screen}}
	defer maps.Close()
	v, err := trial.Rules{Outbound: rules, MaxSize: int64(c.config.Hold.MaxSize),
		Ask: wiring.Answers(maps, wiring.Memory(c.config, c.memory, func(err error) {
			c.say("who has written to whom is not known, and the longest grace that is possible counts: %v", err)
		}))}.Verdict(ctx, m, text)
	if errors.Is(err, trial.ErrHeader) {
		return usage("%v", err)
	}
	if err != nil {
		return err
	}
	if c.json {
		return c.encode(verdict{v.Hold, v.Rule, v.Grace.String(), v.Until, v.Reason.Text, v.Steps})
	}
	for _, step := range v.Steps {
		fmt.Fprintln(c.stdout, sanitize.TerminalCell(step))
	}
	fate := "not held"
	switch {
	case v.Hold && !v.Until.IsZero():
		fate = "held until " + policy.Clock(v.Until)
	case v.Hold:
		fate = "held for " + policy.Short(v.Grace)
	}
	fmt.Fprintf(c.stdout, "%s: %s\n", fate, sanitize.TerminalCell(v.Reason.Text))
	if v.Inbound {
		c.say("%s", t.whyInbound())
	}
	return nil
}

// assumed takes the address in From for the envelope sender, and says so. It returns the whole message.
func (c *ctl) assumed(m *trial.Message, from io.Reader) (whole io.Reader) {
	var read bytes.Buffer
	fields, _ := trial.ReadHeader(bufio.NewReader(io.TeeReader(from, &read))) // whoever reads the whole finds the error
	for _, f := range fields {
		if !f.Is("From") {
			continue
		}
		if address, err := mailmsg.Address(f.Value); err == nil {
			m.Sender = address
		}
		break
	}
	if m.Sender == "" {
		c.say("no --sender, and no address in From: the null sender <> is assumed, as of a bounce")
	} else {
		c.say("no --sender: the address in From is assumed, %s", m.Sender)
	}
	return io.MultiReader(&read, from)
}

// whyInbound says why a message counts as mail that comes in, and how to ask about one that leaves.
func (t *attempt) whyInbound() string {
	var not []string
	if t.login == "" {
		not = append(not, "it has no login")
	} else {
		not = append(not, "logins do not count (outbound.authenticated)")
	}
	if t.client != "" {
		not = append(not, "the client "+t.client+" is not in outbound.networks")
	}
	if t.daemonName == "" {
		not = append(not, "no daemon name is given")
	} else {
		not = append(not, "the daemon name "+t.daemonName+" is not in outbound.daemon_names")
	}
	return "it counts as mail that comes in: " + strings.Join(not, ", and ") +
		". For mail that leaves, add --login NAME, --client with an address of outbound.networks, or --daemon-name"
}

// memory opens the store for what is remembered of correspondents.
func (c *ctl) memory() (*holdstore.Store, error) {
	if c.store == nil {
		if err := c.open(); err != nil {
			return nil, err
		}
	}
	return c.store, nil
}

// message is what the flags say of the message.
func (t *attempt) message(site *config.Config) (m trial.Message, err error) {
	m = trial.Message{Sender: t.sender, Recipients: t.recipients, Login: t.login, DaemonName: t.daemonName}
	if m.Client, err = netip.ParseAddr(t.client); err != nil && t.client != "" {
		return m, usage("invalid IP address %q in --client", t.client)
	}
	if t.own != "" {
		own, err := config.ParseDuration(t.own)
		if err != nil {
			return m, usage("--own-grace: %v", err)
		}
		m.OwnGrace = &own
	}
	now, err := site.Clock(time.Now())
	if err != nil {
		return m, asConfig(err)
	}
	if m.Now, err = moment("at", t.at, now); err == nil && m.Now.IsZero() {
		m.Now = now
	}
	return m, err
}

// opened opens a file with a message; - is standard input.
func opened(file string, stdin io.Reader) (io.ReadCloser, error) {
	if file == "-" {
		return io.NopCloser(stdin), nil
	}
	open, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("the message can't be read: %w", err)
	}
	return open, nil
}
