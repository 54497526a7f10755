// Package doctor looks at a gateway from outside for every cause of lost, unheld, late or doubled mail that can be seen
// there, and says for each how to fix it.
//
// Failure rules: a check that can't be made is a finding of its own, never silence; no check waits for long; nothing
// that is looked at is changed, and no mail is sent (probes are taken back).
package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/postfix"
)

// Level says how bad a finding is.
type Level string

// Levels. A note is what might matter at some sites, and nothing is known to be wrong at this one. A warning is late
// mail, lost comfort, or a check that could not be made. An error is mail that is lost, unheld, duplicated or stuck.
const (
	OK      Level = "ok"
	Note    Level = "note"
	Warning Level = "warning"
	Error   Level = "error"
)

// Finding is what one check found.
type Finding struct {
	Check string `json:"check"` // "postfix.order": the area, and the name under which docs/doctor.md explains it
	Level Level  `json:"level"`
	Text  string `json:"text"`
	// a command for the shell, or "by hand: " with the reason and what to do; "" when nothing is to be fixed
	Fix string `json:"fix"`
}

// What is looked at unless somebody names something else.
const (
	DaemonUser   = "recall-milter"
	SendmailFile = "/etc/mail/sendmail.cf"
)

// Site is what is looked at.
type Site struct {
	File      string           // the config file
	Config    *config.Config   // what it says
	Store     *holdstore.Store // nil: it can't even be opened
	NoStore   error            // why it can't be, then why it does not answer
	Version   string           // of this program
	User      string           // whom the daemon runs as
	Postfix   string           // its configuration folder; "": it is not looked at
	Sendmail  string           // its configuration file; "": it is not looked at
	Probe     string           // an address for probes; "": none are made
	Mailboxes []string         // addresses of users whose mailboxes are opened
	Act       holdstore.Actor  // who takes probes back

	mta   *postfix.Config // nil: no Postfix here
	noMTA error           // why
	sick  bool            // the daemon can't hold mail at this moment
}

// report takes findings.
type report func(Finding)

func (r report) fine(check, format string, args ...any) {
	r(Finding{check, OK, fmt.Sprintf(format, args...), ""})
}

func (r report) note(check, fix, format string, args ...any) {
	r(Finding{check, Note, fmt.Sprintf(format, args...), fix})
}

func (r report) warn(check, fix, format string, args ...any) {
	r(Finding{check, Warning, fmt.Sprintf(format, args...), fix})
}

func (r report) bad(check, fix, format string, args ...any) {
	r(Finding{check, Error, fmt.Sprintf(format, args...), fix})
}

// family is the checks of one area.
type family func(context.Context, *Site, report)

// patience bounds what all families together may take, in parallel; probes have a bound of their own.
const patience = 15 * time.Second

// Examine makes all checks.
func Examine(ctx context.Context, s *Site) []Finding {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if s.Postfix != "" {
		s.mta, s.noMTA = postfix.Read(bounded, s.Postfix)
	}
	if s.Store != nil {
		s.NoStore = s.Store.Ready(bounded)
	}
	found := s.pasteable(causes(inParallel(bounded, s, settings, files, redis, holds, daemon, port, mtas, dns, mailboxes)))
	if s.Probe != "" {
		s.sick = slices.ContainsFunc(found, func(f Finding) bool {
			return f.Level == Error && (strings.HasPrefix(f.Check, "daemon.") || strings.HasPrefix(f.Check, "redis."))
		})
		found = append(found, s.pasteable(inParallel(ctx, s, probes))...)
	}
	return found
}

// consequences are findings that say nothing new next to their cause.
var consequences = map[string][]string{
	"postfix.port":    {"port.reachable", "port.xforward"},
	"postfix.stopped": {"port.own", "port.reachable"},
	"sendmail.port":   {"port.reachable"},
	"port.ours":       {"postfix.port", "sendmail.port"},
	"redis.reachable": {"daemon.ready", "daemon.release"},
	"redis.allowed":   {"daemon.ready", "daemon.release"},
	"redis.durable":   {"daemon.ready"},
	"redis.replicas":  {"redis.durable", "daemon.ready"},
	"redis.loading":   {"daemon.ready"},
	"redis.snapshot":  {"daemon.ready"},
	"redis.role":      {"daemon.ready"},
	"redis.version":   {"daemon.ready"},
}

// causes leaves consequences out.
func causes(found []Finding) []Finding {
	drop := map[string]bool{}
	for _, f := range found {
		for _, c := range consequences[f.Check] {
			drop[c] = true
		}
	}
	return slices.DeleteFunc(found, func(f Finding) bool { return drop[f.Check] })
}

// Before makes the checks that must be fine before mail is given to the daemon.
func Before(ctx context.Context, s *Site) []Finding {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if s.Store != nil {
		s.NoStore = s.Store.Ready(bounded)
	}
	return s.pasteable(inParallel(bounded, s, files, redis, daemon))
}

// inParallel runs families side by side and returns what they found, in their order.
func inParallel(ctx context.Context, s *Site, families ...family) []Finding {
	found := make([][]Finding, len(families))
	var wg sync.WaitGroup
	for n, f := range families {
		r := report(func(one Finding) { found[n] = append(found[n], one) })
		wg.Go(func() { guarded(r, func() { f(ctx, s, r) }) })
	}
	wg.Wait()
	return slices.Concat(found...)
}

// Worst returns the highest level; notes don't count.
func Worst(found []Finding) Level {
	worst := OK
	for _, f := range found {
		if f.Level == Error || f.Level == Warning && worst == OK {
			worst = f.Level
		}
	}
	return worst
}

// Endpoint is a configured address as an endpoint: host:port or unix:/path.
func Endpoint(address string) postfix.Endpoint {
	if path, ok := cutUnix(address); ok {
		return postfix.Endpoint{Network: "unix", Address: path}
	}
	return postfix.Endpoint{Network: "tcp", Address: address}
}

// Needs is what the config needs of Postfix.
func (s *Site) Needs() postfix.Needs {
	n := postfix.Needs{Milter: s.Listening(), Release: Endpoint(s.Config.Release.SMTP),
		ByDaemon: map[string]postfix.Endpoint{}}
	for name, address := range s.Config.Release.SMTPByDaemon {
		n.ByDaemon[name] = Endpoint(address)
	}
	return n
}

// Listening returns where the daemon listens.
func (s *Site) Listening() []postfix.Endpoint {
	var all []postfix.Endpoint
	for _, l := range s.Config.Listen {
		if network, address, err := config.ParseListen(l); err == nil {
			all = append(all, postfix.Endpoint{Network: network, Address: address})
		}
	}
	return all
}

// FromAfar makes the checks that need no more than the store and the daemon's port for monitoring: what a program can
// see that runs as a user of its own, perhaps on another machine.
func FromAfar(ctx context.Context, s *Site) []Finding {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s.NoStore = s.Store.Ready(bounded)
	monitored := func(ctx context.Context, s *Site, r report) {
		if s.Config.HTTP.Listen != "" {
			s.monitoring(ctx, r)
		}
	}
	return causes(inParallel(bounded, s, redis, holds, monitored))
}
