package doctor

import (
	"errors"
	"net"
	"net/textproto"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/internal/hint"
	"github.com/recall-milter/recall-milter/internal/postfix"
)

// closedPort says why held mail can't leave: Postfix does not run, has not read its configuration, or is at a limit.
func (s *Site) closedPort(at postfix.Endpoint, err error, r report) {
	var reply *textproto.Error
	answers := errors.As(err, &reply)
	switch service := s.service(); {
	case answers && reply.Code == 421, service != nil && isTimeout(err):
		fix := "recallctl setup --apply --reload"
		if service == nil {
			fix = byHand + "only you know the limits of this server: let it take at least release.concurrency connections of " +
				"this machine at a time"
		}
		r.bad("port.busy", fix, "the re-injection port %s has no room for one more connection: held mail is late: %s",
			at.Address, words(err))
	case !answers && at.Local() && s.stopped():
		r.bad("postfix.stopped", "postfix start", "Postfix does not run: no mail comes in, and held mail can't leave")
	case service != nil:
		r.bad("port.reachable", "postfix reload",
			"held mail can't leave: Postfix has a service for the re-injection port %s, and it does not answer: %s", at.Address,
			words(err))
	case s.mta != nil || !at.Local():
		r.bad("port.reachable", "recallctl setup --apply --reload",
			"held mail can't leave: the re-injection port %s does not take it: %s", at.Address, words(err))
	default:
		r.bad("port.reachable",
			byHand+"sendmail.cf is made from sendmail.mc: add the lines of recall-milter.m4, then: make -C /etc/mail",
			"held mail can't leave: the re-injection port %s does not take it: %s", at.Address, words(err))
	}
}

func isTimeout(err error) bool {
	var slow interface{ Timeout() bool }
	return errors.As(err, &slow) && slow.Timeout()
}

// service is what of Postfix listens at the re-injection port; nil: nothing, or it is not Postfix.
func (s *Site) service() *postfix.Service {
	if s.mta == nil {
		return nil
	}
	return s.mta.At(Endpoint(s.Config.Release.SMTP))
}

// connectTime is how long a port of this machine takes for a connection, at most.
const connectTime = 2 * time.Second

// stopped says whether none of Postfix's ports takes a connection.
func (s *Site) stopped() bool {
	ports := 0
	if s.mta == nil {
		return false
	}
	for _, service := range s.mta.Services {
		if service.Type != "inet" {
			continue
		}
		ports++
		conn, err := net.DialTimeout("tcp", reachable(service.HostPort()), connectTime)
		if err == nil {
			conn.Close()
			return false
		}
	}
	return ports > 0
}

// serviceSetting is the command that sets a parameter of the re-injection port.
func (s *Site) serviceSetting(name, value string) string {
	if service := s.service(); service != nil {
		return "postconf -P " + hint.Quoted(service.String()+"/"+name+"="+value) + " && postfix reload"
	}
	return byHand + "the re-injection port is none of a Postfix here: set " + name + " = " + value + " where it is"
}

// undiscard lets the re-injection port offer an extension again.
func (s *Site) undiscard(keyword string) string {
	service := s.service()
	if service == nil {
		return byHand + "the re-injection port is none of a Postfix here: let it offer " + keyword
	}
	var kept []string
	for _, k := range strings.FieldsFunc(service.Get("smtpd_discard_ehlo_keywords"),
		func(c rune) bool { return strings.ContainsRune(", \t", c) }) {
		if !strings.EqualFold(k, keyword) {
			kept = append(kept, k)
		}
	}
	return s.serviceSetting("smtpd_discard_ehlo_keywords", strings.Join(kept, ","))
}
