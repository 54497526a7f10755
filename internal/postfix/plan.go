package postfix

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/recall-milter/recall-milter/internal/hint"
)

// Needs is what a hold needs of Postfix.
type Needs struct {
	Milter   []Endpoint          // where the daemon listens; the first is written down
	Release  Endpoint            // the re-injection port
	ByDaemon map[string]Endpoint // other ones, for the mail of services with these names (milter_macro_daemon_name)
}

// Change is one line that is to be changed.
type Change struct {
	File string `json:"file"` // main.cf, master.cf
	Name string `json:"name"` // of the parameter, or service/type, or service/type/parameter
	From string `json:"from"` // what is there, with $names; "" also for nothing
	To   string `json:"to"`

	kind, setting string // arguments of postconf
}

// Command is what makes the change in a folder; "": in the usual one.
func (c Change) Command(dir string) string {
	return hint.Postfix("postconf", dir, c.kind+" '"+strings.ReplaceAll(c.setting, "'", `'\''`)+"'")
}

// Lines shows the change as a diff would.
func (c Change) Lines() []string {
	line := c.Name + " = "
	if c.kind == "-M" {
		entry, options, _ := strings.Cut(c.To, " -o ")
		lines := []string{"+ " + entry}
		for _, o := range strings.Split(options, " -o ") {
			lines = append(lines, "+   -o "+o)
		}
		return lines
	}
	if c.From == "" {
		return []string{"+ " + line + c.To}
	}
	return []string{"- " + line + c.From, "+ " + line + c.To}
}

// Plan says what has to be changed, nothing when all is well. An error says why no change would do.
func (c *Config) Plan(n Needs) ([]Change, error) {
	p := &plan{c: c, needs: n, ours: MilterAddress(c, n.Milter[0])}
	if queue := c.Get("queue_directory"); p.chrooted() && strings.HasPrefix(p.ours, "unix:/") {
		return nil, fmt.Errorf("smtpd is chrooted to %s and can't see the daemon's socket %s: set listen = "+
			"[\"inet:8890@127.0.0.1\"], or a socket below %s (/usr/share/doc/recall-milter/docs/install.md)",
			queue, n.Milter[0].Address, queue)
	}
	for _, port := range n.Ports() {
		if s := c.At(port.At); s != nil && (s.Public() || !s.Loopback()) {
			return nil, fmt.Errorf("%s %s is where %s takes mail from others: held mail needs a port of its own to come back: "+
				"set it to 127.0.0.1 and a port that is free, such as 10026, and restart the daemon",
				port.Setting, port.At.Address, s)
		}
	}
	p.lists()
	p.parameter("milter_default_action", "tempfail", "tempfail", "shutdown")
	p.parameter("milter_protocol", "6", "6")
	if cleanup := c.Find("cleanup", "unix"); cleanup == nil || !never(cleanup.Get("in_flow_delay")) {
		p.main("in_flow_delay", "0")
	}
	for _, port := range n.Ports() {
		p.reinjection(port)
	}
	return p.changes, nil
}

// never says whether a delay is none.
func never(delay string) bool {
	d, ok := Duration(delay)
	return ok && d == 0
}

type plan struct {
	c       *Config
	needs   Needs
	ours    string
	changes []Change
}

// parameter sets a parameter of main.cf unless it has one of the good values.
func (p *plan) parameter(name, value string, good ...string) {
	for _, g := range good {
		if p.c.Get(name) == g {
			return
		}
	}
	p.main(name, value)
}

func (p *plan) main(name, value string) {
	p.changes = append(p.changes, Change{"main.cf", name, p.c.raw[name], value, "-e", name + "=" + value})
}

func (p *plan) service(s *Service, name, value string) {
	path, value := s.String()+"/"+name, Compact(value)
	p.changes = append(p.changes, Change{"master.cf", path, s.Raw(name), value, "-P", path + "=" + value})
}

// Compact writes a list without blanks, which postconf does not take for a setting of one service.
func Compact(list string) string {
	all := entries(list)
	for n, entry := range all {
		if inner, braced := strings.CutPrefix(entry, "{"); braced {
			all[n] = "{" + Compact(strings.TrimSuffix(inner, "}")) + "}"
		}
	}
	return strings.Join(all, ",")
}

// lists puts our milter at the end of the lists of milters: those of main.cf, and those of services that have their
// own.
func (p *plan) lists() {
	main := &Service{config: p.c, Chroot: p.chrooted()}
	lists := []string{"smtpd_milters", "non_smtpd_milters"}
	if p.c.ProgramsPort(p.needs) != nil {
		lists = lists[:1] // what programs submit is held at a port
	}
	for _, list := range lists {
		if !p.last(main, list) && !(list == "non_smtpd_milters" && p.c.raw[list] == "$smtpd_milters") {
			p.main(list, WithLast(main, list, p.needs.Milter, p.ours))
		}
	}
	for _, s := range p.c.Running("smtpd") {
		if s.Submission() && s.Overrides("smtpd_milters") && !p.last(s, "smtpd_milters") {
			p.service(s, "smtpd_milters", WithLast(s, "smtpd_milters", p.needs.Milter, p.ours))
		}
	}
}

// chrooted says whether the first smtpd is.
func (p *plan) chrooted() bool {
	all := p.c.Running("smtpd")
	return len(all) > 0 && all[0].Chroot
}

func (p *plan) last(s *Service, list string) bool {
	all := Milters(s.Get(list))
	return len(all) > 0 && s.reachesAny(all[len(all)-1].Address, p.needs.Milter)
}

// Submission says whether the service is where users submit, by its name or port.
func (s *Service) Submission() bool {
	_, port, err := net.SplitHostPort(s.HostPort())
	if s.Type != "inet" || err != nil {
		return false
	}
	switch port {
	case "submission", "submissions", "smtps", "587", "465":
		return true
	}
	return false
}

// Judges lists the restrictions by which a service may refuse again what was accepted once: those that do not begin
// with a permission for this machine, and have more than actions on the queue file.
func (s *Service) Judges() (names []string) {
	for _, stage := range []string{"client", "helo", "sender", "relay", "recipient", "data", "end_of_data"} {
		name := "smtpd_" + stage + "_restrictions"
		rules := entries(s.Get(name))
		if len(rules) > 0 && rules[0] != "permit_mynetworks" && rules[0] != "permit" && !actsOnly(rules) {
			names = append(names, name)
		}
	}
	return names
}

// At returns the smtpd that listens at an endpoint; nil: there is none.
func (c *Config) At(e Endpoint) *Service {
	for _, s := range c.Running("smtpd") {
		if s.Listens(e) {
			return s
		}
	}
	return nil
}

// Reload makes a running Postfix use the configuration.
func (c *Config) Reload(ctx context.Context) error {
	_, err := run(ctx, "postfix", "-c", c.Dir, "reload")
	return err
}
