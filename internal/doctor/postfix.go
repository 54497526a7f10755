package doctor

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/internal/hint"
	"github.com/recall-milter/recall-milter/internal/postfix"
)

// mtas looks at the configuration of the MTA in front of the daemon.
func mtas(_ context.Context, s *Site, r report) {
	postfixHere, sendmailHere := s.mta != nil, s.Sendmail != "" && exists(s.Sendmail)
	if s.noMTA != nil && exists(s.Postfix) && !errors.Is(s.noMTA, postfix.ErrNone) {
		r.bad("postfix.unreadable", "postfix check", "Postfix's configuration can't be read: %s", words(s.noMTA))
		postfixHere = true
	}
	if !postfixHere && !sendmailHere {
		r.warn("mta.unchecked",
			byHand+"only you know where the MTA is: run recallctl doctor there, or with --postfix DIR or --sendmail FILE",
			"no MTA is here: neither %s nor %s", cmp.Or(s.Postfix, "Postfix"), cmp.Or(s.Sendmail, "Sendmail"))
	}
	if s.mta != nil {
		postfixLines(s, r)
	}
	if sendmailHere {
		sendmailLines(s, r)
	}
}

func postfixLines(s *Site, r report) {
	seen, well := map[[2]string]bool{}, true // what is set once for all services is said once
	counted := report(func(f Finding) {
		if key := [2]string{f.Check, f.Fix}; !seen[key] {
			seen[key], well = true, well && f.Level == Note
			r(f)
		}
	})
	s.entries(counted)
	s.locally(counted)
	s.inFlow(counted)
	s.outbound(counted)
	s.limits(counted)
	for _, port := range s.Needs().Ports() {
		s.reinjection(port, counted)
	}
	s.beforeTheHold(counted)
	if well {
		r.fine("postfix", "all that it takes comes to the daemon last, and can come back")
	}
}

// ours is our milter in a list of a service; nil: it is not there. last says whether it is the last.
func (s *Site) ours(service *postfix.Service, list string) (m *postfix.Milter, last bool) {
	all := postfix.Milters(service.Get(list))
	for n := range all {
		for _, at := range s.Listening() {
			if service.Reaches(all[n].Address, at) {
				return &all[n], n == len(all)-1
			}
		}
	}
	return nil, false
}

// milterAddress is how Postfix writes where the daemon listens.
func (s *Site) milterAddress() string { return postfix.MilterAddress(s.mta, s.Listening()[0]) }

// releases says whether a service is a port by which the gateway hands its mail back.
func (s *Site) releases(service *postfix.Service) bool {
	return s.Needs().IsPort(service) ||
		s.Config.Release.OwnSMTP != "" && service.Listens(Endpoint(s.Config.Release.OwnSMTP))
}

// entries looks at every way in by SMTP.
func (s *Site) entries(r report) {
	told := false // one fix of main.cf serves all services
	for _, service := range s.mta.Running("smtpd") {
		if s.releases(service) {
			continue
		}
		m, last := s.ours(service, "smtpd_milters")
		fix, own := s.milterFix(service)
		skips := strings.Contains(service.Get("receive_override_options"), "no_milters")
		switch {
		case (m == nil || skips) && service.Loopback() && service.Overrides("smtpd_milters"):
			// the way back from a content filter: its mail came by another service
		case m != nil && skips:
			r.bad("postfix.entry", "postconf -P '"+service.String()+"/receive_override_options=' && postfix reload",
				"mail that comes by %s is never held: it has no_milters", service)
		case m == nil && s.outside(service, "smtpd_milters"):
			s.chroot(service, r)
		case m == nil && own:
			r.bad("postfix.entry", fix, "mail that comes by %s is never held: its own smtpd_milters leaves our milter out",
				service)
		case m == nil && !told:
			told = true
			r.bad("postfix.milter", fix, "no mail is held: our milter is not in smtpd_milters")
		case m != nil:
			s.milter(service, *m, last, fix, r)
		}
	}
}

// milterFix is the command that makes our milter the last one of a service; own: in its own line of master.cf.
func (s *Site) milterFix(service *postfix.Service) (fix string, own bool) {
	list := postfix.WithLast(service, "smtpd_milters", s.Listening(), s.milterAddress())
	if service.Overrides("smtpd_milters") {
		return "postconf -P '" + service.String() + "/smtpd_milters=" + postfix.Compact(list) + "' && postfix reload", true
	}
	return "postconf -e 'smtpd_milters = " + list + "' && postfix reload", false
}

// milter looks at our entry in the list of one service.
func (s *Site) milter(service *postfix.Service, m postfix.Milter, last bool, fix string, r report) {
	if !last && !fromOutside(service) {
		r.bad("postfix.order", fix, "%s: a milter stands behind ours: what it refuses is held, and sent, all the same",
			service)
	}
	s.proxied(service, r)
	if service.Get("smtpd_milter_maps") != "" {
		r.warn("postfix.maps",
			byHand+"only you know whom the tables mean: see that each list in "+service.Get("smtpd_milter_maps")+" ends with "+
				"our milter", "%s: for some clients smtpd_milter_maps says which milters they meet: theirs may not be held",
			service)
	}
	s.action(service, m, r)
	if v, err := strconv.Atoi(service.Option(m, "protocol")); err == nil && v < 6 {
		r.bad("postfix.protocol", setMilter(service, m, "protocol", "6"),
			"%s: milter protocol %d can't carry mail byte for byte: the daemon refuses it, and clients hear 451", service, v)
	}
	for _, name := range []string{"connect_timeout", "command_timeout", "content_timeout"} {
		if d, ok := postfix.Duration(service.Option(m, name)); ok && d < leastTimeout {
			r.warn("postfix.timeout", setMilter(service, m, name, defaultTimeouts[name]),
				"%s: milter_%s is %v: when Redis is slow for a moment, clients hear 451 and their mail is late", service, name, d)
		}
	}
	s.socket(service, m, r)
}

// proxied looks at a service whose content goes to a filter while the client waits: no milter of it sees the content.
// The service to which the filter hands on is named nowhere, but it is on loopback and has no such filter.
func (s *Site) proxied(service *postfix.Service, r report) {
	if service.Get("smtpd_proxy_filter") == "" {
		return
	}
	for _, behind := range s.asking() {
		if behind.Loopback() && behind.Get("smtpd_proxy_filter") == "" && !s.releases(behind) {
			r.note("postfix.proxy", byHand+"only you know to which service the proxy hands on: see that it is "+behind.String(),
				"%s: smtpd_proxy_filter keeps content from milters: its mail is held if the proxy hands it on to %s", service,
				behind)
			return
		}
	}
	r.bad("postfix.proxy",
		byHand+"only you know which service stands behind the proxy: give smtpd_milters to that one instead",
		"%s: smtpd_proxy_filter keeps content from milters: no mail is held", service)
}

// fromOutside says whether a service with a list of its own is where only the world sends: there a filter stands behind
// ours, to see what we think of recalls.
func fromOutside(service *postfix.Service) bool {
	return service.Overrides("smtpd_milters") && !service.Submission() && service.Get("smtpd_sasl_auth_enable") != "yes"
}

// leastTimeout is twice the longest pause that the daemon makes between two signs of life.
const leastTimeout = 10 * time.Second

var defaultTimeouts = map[string]string{"connect_timeout": "30s", "command_timeout": "30s", "content_timeout": "300s"}

// action looks what Postfix does while the daemon is away.
func (s *Site) action(service *postfix.Service, m postfix.Milter, r report) {
	meaning := map[string]string{"accept": "goes out unheld",
		"quarantine": "lies in Postfix's hold queue until somebody looks", "reject": "is refused for good"}
	action := service.Option(m, "default_action")
	if meaning[action] == "" {
		return // tempfail, shutdown
	}
	r.bad("postfix.default-action", setMilter(service, m, "default_action", "tempfail"),
		"%s: milter_default_action is %s: while the daemon is down, mail %s", service, action, meaning[action])
}

// setMilter sets what Postfix does with our milter where it is set now: in the list, in the service, or for all.
func setMilter(service *postfix.Service, m postfix.Milter, name, value string) string {
	if _, own := m.Options[name]; own {
		return byHand + "postconf edits no single milter of a list: write " + name + "=" + value +
			" into the braces of our milter, then: postfix reload"
	}
	return set(service, "milter_"+name, value) + " && postfix reload"
}

// set is the command that sets a parameter of a service: in its line where that has it, else for all.
func set(service *postfix.Service, name, value string) string {
	if service.Overrides(name) {
		return "postconf -P " + hint.Quoted(service.String()+"/"+name+"="+value)
	}
	return "postconf -e " + hint.Quoted(name+"="+value)
}

// locally looks at mail that programs submit by sendmail(1).
func (s *Site) locally(r report) {
	cleanup := s.mta.Find("cleanup", "unix")
	if cleanup == nil {
		return
	}
	m, last := s.ours(cleanup, "non_smtpd_milters")
	if s.mta.ProgramsPort(s.Needs()) != nil {
		if m != nil {
			r.bad("postfix.programs", "postconf -e non_smtpd_milters= && postfix reload",
				"pickup hands what programs submit to a port "+
					"with our milter, and non_smtpd_milters has it too: mail of programs is held twice")
		}
		return
	}
	fix := "postconf -e 'non_smtpd_milters = " +
		postfix.WithLast(cleanup, "non_smtpd_milters", s.Listening(), s.milterAddress()) + "' && postfix reload"
	switch {
	case m == nil && s.outside(cleanup, "non_smtpd_milters"):
		s.chroot(cleanup, r)
	case m == nil:
		r.bad("postfix.local", fix,
			"mail of sendmail(1) (cron, web applications) is never held: our milter is not in non_smtpd_milters")
	case !last:
		r.bad("postfix.order", fix,
			"non_smtpd_milters: a milter stands behind ours: what it refuses is held, and sent, all the same")
	default:
		s.socket(cleanup, *m, r)
		r.note("postfix.programs",
			byHand+"most programs ask for none of it: where one does, what programs submit needs a port "+
				"of its own (/usr/share/doc/recall-milter/docs/before-the-hold.md has the lines)",
			"what a program asks for by sendmail -v, -N, -R and -V is lost with a held message: Postfix tells no milter")
	}
}

// inFlow looks at the token bucket that discarded messages never fill again.
func (s *Site) inFlow(r report) {
	told := map[*postfix.Service]bool{}
	for _, service := range s.mta.Running("smtpd") {
		cleanup := service.Cleanup()
		if m, _ := s.ours(service, "smtpd_milters"); m == nil || cleanup == nil || told[cleanup] || s.releases(service) {
			continue
		}
		told[cleanup] = true
		if d, ok := postfix.Duration(cleanup.Get("in_flow_delay")); ok && d > 0 {
			r.warn("postfix.in-flow", set(cleanup, "in_flow_delay", "0")+" && postfix reload",
				"in_flow_delay is %v: after about 50 held messages each further one waits as long", d)
		}
	}
}

// limits looks at settings of all Postfix.
func (s *Site) limits(r report) {
	size := s.intake()
	if most := int64(s.Config.Hold.MaxSize); size == 0 || size > most {
		allowed := sized(size)
		if size == 0 {
			allowed = "any size"
		}
		r.warn("postfix.size", s.lowerSize(most)+"postfix reload # or raise max_size under [hold] in "+s.File,
			"Postfix takes %s, and up to %s are held: larger mail goes out unheld", allowed, sized(most))
	}
	if s.mta.Get("soft_bounce") == "yes" {
		r.warn("postfix.soft-bounce", "postconf -e soft_bounce=no && postfix reload", "soft_bounce is on: what the "+
			"re-injection port refuses for good is tried until it is given up, instead of coming back at once")
	}
}

// lowerSize sets the limit wherever mail comes in that is too large to be held.
func (s *Site) lowerSize(most int64) (command string) {
	larger := func(text string) bool { n := number(text); return n == 0 || n > most }
	value := strconv.FormatInt(most, 10)
	if larger(s.mta.Get("message_size_limit")) {
		command = "postconf -e message_size_limit=" + value + " && "
	}
	for _, service := range s.mta.Running("smtpd") {
		if service.Overrides("message_size_limit") && larger(service.Get("message_size_limit")) && !s.releases(service) {
			command += set(service, "message_size_limit", value) + " && "
		}
	}
	return command
}

// portTreatment looks at a service by which held mail comes back.
func (s *Site) reinjection(port postfix.Port, r report) {
	if !port.At.Local() {
		return
	}
	service := s.mta.At(port.At)
	if service == nil {
		r.bad("postfix.port", "recallctl setup --apply --reload",
			"held mail has no way back: no service of master.cf listens at %s %s", port.Setting, port.At.Address)
		return
	}
	if service.Public() {
		r.bad("postfix.shared",
			byHand+"which port is free is your decision: give "+port.Setting+" one of its own, like \"127.0.0.1:10026\", in "+
				s.File+", then: systemctl restart recall-milter && recallctl setup --apply --reload",
			"%s leads to %s, where others submit: held mail needs a port of its own to come back", port.Setting, service)
		return
	}
	s.portTreatment(service, r)
	if !service.Loopback() {
		r.warn("postfix.open", byHand+"who connects to it from outside only you know: let it listen at 127.0.0.1 (the "+
			"first word of its line in master.cf), then: postfix reload",
			"%s can be reached from outside: mail that comes in there goes round the hold", service)
	}
	s.throttled(service, r)
}
