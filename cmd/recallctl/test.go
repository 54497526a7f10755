package main

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/emersion/go-message/textproto"
	"github.com/spf13/cobra"

	"github.com/recall-milter/recall-milter/internal/sanitize"
	"github.com/recall-milter/recall-milter/internal/wiring"
	"github.com/recall-milter/recall-milter/policy"
)

// maxTested bounds a message that is tested, in bytes.
const maxTested = 1 << 30

// verdict is what a message would meet, in JSON.
type verdict struct {
	Hold   bool     `json:"hold"`
	Rule   string   `json:"rule"`
	Grace  string   `json:"grace"`
	Reason string   `json:"reason"`
	Steps  []string `json:"steps"`
}

// trial is a message that is not sent, and its envelope.
type trial struct {
	sender, login, client, daemonName, at string
	recipients                            []string
}

func (c *ctl) test() *cobra.Command {
	var t trial
	cmd := &cobra.Command{Use: "test FILE"}
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usage("test needs one FILE with a message, or - for standard input")
		}
		return nil
	}
	flags := cmd.Flags()
	flags.StringVar(&t.sender, "sender", "", "envelope sender, an `address`")
	flags.StringSliceVar(&t.recipients, "recipient", nil, "envelope recipients, `addresses`")
	flags.StringVar(&t.login, "login", "", "SASL `login`")
	flags.StringVar(&t.client, "client", "127.0.0.1", "client `address`")
	flags.StringVar(&t.daemonName, "daemon-name", "", "`name` of the MTA's service (milter_macro_daemon_name)")
	flags.StringVar(&t.at, "at", "", "`time` of the rules' time conditions (default now)")
	cmd.RunE = func(_ *cobra.Command, args []string) error { return c.tried(&t, args[0]) }
	return cmd
}

func (c *ctl) tried(t *trial, file string) error {
	if err := c.load(); err != nil {
		return err
	}
	rules, err := wiring.Outbound(c.config)
	if err != nil {
		return asConfig(err)
	}
	facts, err := t.facts(file, c.stdin)
	if err != nil {
		return err
	}
	v := rules.Decide(facts)
	if limit := int64(c.config.Hold.MaxSize); v.Hold && facts.Size > limit {
		v.Hold = false
		text := fmt.Sprintf("%d bytes are more than hold.max_size (%d)", facts.Size, limit)
		v.Reason = policy.Reason{Code: policy.TooLarge, Text: text}
	}
	if c.json {
		return c.encode(verdict{v.Hold, v.Rule, v.Grace.String(), v.Reason.Text, v.Steps})
	}
	for _, step := range v.Steps {
		fmt.Fprintln(c.stdout, sanitize.TerminalCell(step))
	}
	if v.Hold {
		fmt.Fprintf(c.stdout, "held for %v: %s\n", v.Grace, sanitize.TerminalCell(v.Reason.Text))
	} else {
		fmt.Fprintf(c.stdout, "not held: %s\n", sanitize.TerminalCell(v.Reason.Text))
	}
	return nil
}

// facts are what the milter would know at the end of the message.
func (t *trial) facts(file string, stdin io.Reader) (policy.Facts, error) {
	f := policy.Facts{Known: policy.AtEnd, Login: t.login, DaemonName: t.daemonName, Sender: strings.Trim(t.sender, "<>"),
		Explain: true}
	for _, r := range t.recipients {
		f.Recipients = append(f.Recipients, strings.Trim(r, "<>"))
	}
	var err error
	if f.Client, err = netip.ParseAddr(t.client); err != nil && t.client != "" {
		return f, usage("invalid IP address %q in --client", t.client)
	}
	if f.Now, err = moment("at", t.at, time.Now()); err != nil {
		return f, err
	}
	if f.Now.IsZero() {
		f.Now = time.Now()
	}
	from, err := opened(file, stdin)
	if err != nil {
		return f, err
	}
	defer from.Close()
	return f, readMessage(from, &f)
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

// readMessage reads fields and size.
func readMessage(from io.Reader, f *policy.Facts) (err error) {
	counted := &counter{from: io.LimitReader(from, maxTested)}
	r := bufio.NewReader(counted)
	if f.Header, err = readHeader(r); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return fmt.Errorf("the message can't be read: %w", err)
	}
	f.Size = counted.n
	return nil
}

// readHeader reads fields. The MTA gives a milter folds as CRLF, so a file with LF gets them too.
func readHeader(r *bufio.Reader) (all []policy.Field, err error) {
	header, err := textproto.ReadHeader(r)
	if err != nil {
		return nil, usage("the message's header can't be read: %v", err)
	}
	for fields := header.Fields(); fields.Next(); {
		raw, err := fields.Raw()
		if err != nil {
			return nil, usage("the message's header can't be read: %v", err)
		}
		name, value, _ := strings.Cut(string(raw), ":")
		all = append(all, policy.Field{Name: name, Value: strings.TrimRight(crlf(value), "\r\n")})
	}
	return all, nil
}

// crlf gives every line the end that it has on the wire.
func crlf(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n")
}

// counter counts the bytes that are read.
type counter struct {
	from io.Reader
	n    int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	return n, err
}
