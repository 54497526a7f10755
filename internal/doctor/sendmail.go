package doctor

import (
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/recall-milter/recall-milter/internal/lazyregexp"
	"github.com/recall-milter/recall-milter/internal/postfix"
)

// cf is what of a sendmail.cf bears on the hold.
type cf struct {
	filters map[string]equates // X lines by name
	input   []string           // O InputMailFilters
	ports   []equates          // O DaemonPortOptions
	size    int64              // O MaxMessageSize; 0: any
	smart   string             // DS: the smart host, as [host], host or mailer:host; "": none
	relay   string             // the port of the mailer "relay", which leads there
}

// equates are "Name=value" fields.
type equates map[string]string

// maxCF bounds a sendmail.cf; real ones have 100 KB.
const maxCF = 4 << 20

func readCF(path string) (*cf, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c := &cf{filters: map[string]equates{}}
	for line := range strings.Lines(string(text[:min(len(text), maxCF)])) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "X"); ok {
			name, fields, _ := strings.Cut(rest, ",")
			c.filters[strings.TrimSpace(name)] = readEquates(fields)
		}
		if smart, ok := strings.CutPrefix(line, "DS"); ok {
			c.smart = smart
		}
		if m := relayPort.FindStringSubmatch(line); m != nil {
			c.relay = m[1]
		}
		option, ok := strings.CutPrefix(line, "O ")
		if name, value, set := strings.Cut(option, "="); ok && set {
			c.option(strings.TrimSpace(name), value)
		}
	}
	return c, nil
}

// relayPort finds the port in the arguments of the mailer that leads to the smart host, which are on a line of their
// own.
var relayPort = lazyregexp.New(`^(?:Mrelay,.*)?A=TCP \$h ?(\d*)$`)

func (c *cf) option(name, value string) {
	switch name {
	case "InputMailFilters":
		c.input = names(value)
	case "DaemonPortOptions":
		c.ports = append(c.ports, readEquates(value))
	case "MaxMessageSize":
		c.size, _ = strconv.ParseInt(strings.TrimSpace(value), 10, 64)
	}
}

// names reads a list divided by commas or semicolons.
func names(list string) []string {
	return strings.FieldsFunc(list, func(c rune) bool { return strings.ContainsRune(",; \t", c) })
}

func readEquates(text string) equates {
	e := equates{}
	for _, field := range strings.Split(text, ",") {
		if name, value, ok := strings.Cut(field, "="); ok {
			e[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	return e
}

// listens says whether a port is at an endpoint. Sendmail's own default is port 25 everywhere.
func (e equates) listens(at postfix.Endpoint) bool {
	port := firstOf(e, "25", "Port", "P")
	if port == "smtp" {
		port = "25"
	}
	return postfix.SameHostPort(at.Address, net.JoinHostPort(firstOf(e, "0.0.0.0", "Addr", "A"), port))
}

func firstOf(e equates, otherwise string, names ...string) string {
	for _, name := range names {
		if v := e[name]; v != "" {
			return v
		}
	}
	return otherwise
}

// filters returns the milters that a port asks. A port without a list of its own asks those of all.
func (c *cf) filtersOf(port equates) []string {
	for _, name := range []string{"InputMailFilters", "I"} {
		if v, ok := port[name]; ok {
			return names(v)
		}
	}
	return c.input
}

// sendmailLines looks at the lines of sendmail.cf.
func sendmailLines(s *Site, r report) {
	c, err := readCF(s.Sendmail)
	if err != nil {
		r.warn("sendmail.unreadable", asRoot, "%s", words(err))
		return
	}
	found := 0
	counted := report(func(f Finding) { found++; r(f) })
	name := s.filterIn(c)
	if name == "" {
		counted.bad("sendmail.milter", byHand+"sendmail.cf is made from sendmail.mc: add the INPUT_MAIL_FILTER line of "+
			"recall-milter.m4, then: make -C /etc/mail", "no mail is held: %s names no filter where the daemon listens",
			s.Sendmail)
	} else {
		s.filter(name, c.filters[name], counted)
		s.ports(name, c, counted)
	}
	s.wayBack(name, c, counted)
	s.smartHost(c, counted)
	if most := int64(s.Config.Hold.MaxSize); c.size == 0 || c.size > most {
		counted.warn("sendmail.size",
			byHand+"sendmail.cf is made from sendmail.mc: add define(`confMAX_MESSAGE_SIZE', `"+strconv.FormatInt(most,
				10)+"'), then: make -C /etc/mail", "Sendmail takes larger mail than the %s that are held: it goes out unheld",
			sized(most))
	}
	if found == 0 {
		r.fine("sendmail", "all that it takes comes to the daemon last, and can come back")
	}
}

// filterIn is the name of our filter.
func (s *Site) filterIn(c *cf) string {
	for name, f := range c.filters {
		network, address := socketOf(f["S"])
		for _, at := range s.Listening() {
			if network == at.Network &&
				(at.Address == address || network == "tcp" && postfix.SameHostPort(address, at.Address)) {
				return name
			}
		}
	}
	return ""
}

// socketOf reads inet:port@host, local:/path.
func socketOf(s string) (network, address string) {
	kind, rest, _ := strings.Cut(s, ":")
	if kind == "local" || kind == "unix" {
		return "unix", rest
	}
	port, host, _ := strings.Cut(rest, "@")
	return "tcp", net.JoinHostPort(strings.Trim(host, "[]"), port)
}

// filter looks at the line of our filter.
func (s *Site) filter(name string, f equates, r report) {
	meaning := map[string]string{"": "goes out unheld", "R": "is refused for good"}
	if what, wrong := meaning[f["F"]]; wrong {
		r.bad("sendmail.flag",
			byHand+"sendmail.cf is made from sendmail.mc: write F=T into the INPUT_MAIL_FILTER line of "+name+", then: make "+
				"-C /etc/mail", "F=%s: while the daemon is down, mail %s", f["F"], what)
	}
	for _, part := range []string{"S", "R"} {
		if d, ok := postfix.Duration(waits(f["T"])[part]); !ok || d <= leastTimeout {
			r.warn("sendmail.timeout",
				byHand+"sendmail.cf is made from sendmail.mc: write T=C:1m;S:2m;R:2m;E:5m into the INPUT_MAIL_FILTER line of "+name+
					", then: make -C /etc/mail", "Sendmail waits at most 10 seconds for an answer: when Redis is slow for a "+
					"moment, clients hear 451 and their mail is late")
			return
		}
	}
}

// waits reads T=C:1m;S:2m;R:2m;E:5m.
func waits(text string) map[string]string {
	all := map[string]string{}
	for _, part := range strings.Split(text, ";") {
		name, value, _ := strings.Cut(part, ":")
		all[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return all
}

// ports looks at every way in.
func (s *Site) ports(name string, c *cf, r report) {
	ports := c.ports
	if len(ports) == 0 {
		ports = []equates{{"Name": "MTA"}}
	}
	for _, port := range ports {
		asked, label := c.filtersOf(port), firstOf(port, "MTA", "Name", "N")
		switch at := slices.Index(asked, name); {
		case port.listens(Endpoint(s.Config.Release.SMTP)):
		case at < 0 && firstOf(port, "", "Addr", "A") == "127.0.0.1": // a way back, from a content filter for example
		case at < 0:
			r.bad("sendmail.entry",
				byHand+"sendmail.cf is made from sendmail.mc: take InputMailFilters= out of its DAEMON_OPTIONS, or name "+name+
					" there, then: make -C /etc/mail", "mail that comes by the port %s is never held: it does not ask our filter",
				label)
		case at < len(asked)-1:
			r.bad("sendmail.order",
				byHand+"sendmail.cf is made from sendmail.mc: name "+name+" last among the INPUT_MAIL_FILTER lines, then: make "+
					"-C /etc/mail", "port %s: a filter stands behind ours: what it refuses is held, and sent, all the same", label)
		}
	}
}

// wayBack looks at the port by which held mail comes back.
func (s *Site) wayBack(name string, c *cf, r report) {
	at := Endpoint(s.Config.Release.SMTP)
	n := slices.IndexFunc(c.ports, func(p equates) bool { return p.listens(at) })
	switch {
	case !at.Local():
	case n < 0:
		r.bad("sendmail.port", byHand+"sendmail.cf is made from sendmail.mc: add the DAEMON_OPTIONS line recall-reinject "+
			"of recall-milter.m4, then: make -C /etc/mail",
			"held mail has no way back: no port of %s listens at release.smtp %s", s.Sendmail, at.Address)
	case slices.Contains(c.filtersOf(c.ports[n]), name):
		fix := byHand + "sendmail.cf is made from sendmail.mc: write InputMailFilters= (empty) into its DAEMON_OPTIONS " +
			"line, then: make -C /etc/mail"
		if port := firstOf(c.ports[n], "25", "Port", "P"); port == "25" || port == "smtp" || port == "587" {
			fix = byHand + "which port is free is your decision: write smtp = \"127.0.0.1:10026\" under [release] into " +
				s.File + ", add the recall-reinject line of recall-milter.m4 to sendmail.mc, then: make -C /etc/mail && " +
				"systemctl restart recall-milter"
		}
		r.bad("sendmail.loop", fix, "the re-injection port, where held mail comes back, asks our filter: released mail "+
			"comes in again, and waits again when its mark is lost")
	case firstOf(c.ports[n], "", "Addr", "A") == "":
		r.warn("sendmail.open", byHand+"sendmail.cf is made from sendmail.mc: write Addr=127.0.0.1 into its "+
			"DAEMON_OPTIONS line, then: make -C /etc/mail",
			"the re-injection port can be reached from outside: mail that comes in there goes round the hold")
	}
}

// smartHost looks whether all mail goes to a port of this Sendmail itself.
func (s *Site) smartHost(c *cf, r report) {
	mailer, host, named := strings.Cut(c.smart, ":")
	if !named || strings.HasPrefix(c.smart, "[") {
		mailer, host = "relay", c.smart
	}
	port := "25"
	if mailer == "relay" && c.relay != "" {
		port = c.relay
	}
	if host = strings.Trim(host, "[]"); host == "" {
		return
	}
	to := postfix.Endpoint{Network: "tcp", Address: net.JoinHostPort(host, port)}
	for _, p := range c.ports {
		if p.listens(to) {
			r.bad("sendmail.smart-host", byHand+"only you know where this mail should go: name that in define(`SMART_HOST', "+
				"...) of "+
				"sendmail.mc, then: make -C /etc/mail", "the smart host (DS%s) leads to the port %s of this Sendmail: released "+
				"mail "+
				"comes in again, until it has too many hops", c.smart, firstOf(p, "MTA", "Name", "N"))
			return
		}
	}
}
