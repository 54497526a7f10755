package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/smtp"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"github.com/recall-milter/recall-milter/internal/postfix"
)

// port looks at the re-injection port, where mail leaves the hold.
func port(ctx context.Context, s *Site, r report) {
	at := Endpoint(s.Config.Release.SMTP)
	if slices.ContainsFunc(s.Listening(),
		func(l postfix.Endpoint) bool { return l.Network == at.Network && same(l, at) }) {
		r.bad("port.ours",
			byHand+"which port is free is your decision: write smtp = \"127.0.0.1:10026\" under [release] into "+s.File+
				", then: systemctl restart recall-milter && recallctl setup --apply --reload",
			"release.smtp is %s, where the daemon itself listens: nothing can be released", at.Address)
		return
	}
	c, err := dialSMTP(ctx, at, false)
	if err != nil {
		s.closedPort(at, err, r)
		return
	}
	defer c.Close()
	found := 0
	counted := report(func(f Finding) { found++; r(f) })
	s.offers(c, counted)
	takes(c, counted)
	if found == 0 {
		r.fine("port", "%s takes mail", at.Address)
	}
	c.Quit()
	s.ownPort(ctx, r)
}

func same(l, at postfix.Endpoint) bool {
	if at.Network == "unix" {
		return l.Address == at.Address
	}
	return postfix.SameHostPort(at.Address, l.Address)
}

// ownPort looks at the port of the gateway's own mails.
func (s *Site) ownPort(ctx context.Context, r report) {
	if s.Config.Release.OwnSMTP == "" {
		return
	}
	c, err := dialSMTP(ctx, Endpoint(s.Config.Release.OwnSMTP), false)
	if err != nil {
		r.bad("port.own",
			byHand+"only you know the service that it means: add it to the MTA, or take own_smtp out of [release] in "+s.File+
				", then: systemctl restart recall-milter", "reports and requests can't leave by release.own_smtp %s: %s",
			s.Config.Release.OwnSMTP, words(err))
		return
	}
	c.Quit()
}

// dialSMTP connects, by TLS at once when wrapped, and greets.
func dialSMTP(ctx context.Context, at postfix.Endpoint, wrapped bool) (*smtp.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, briefly)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, at.Network, at.Address)
	if err != nil {
		return nil, err
	}
	until, _ := ctx.Deadline()
	conn.SetDeadline(until)
	if wrapped {
		conn = tls.Client(conn, unproven)
	}
	c, err := smtp.NewClient(conn, "localhost")
	if err == nil {
		err = c.Hello("localhost")
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// unproven is for ports of this machine: there is nothing to prove, and nothing secret is sent.
var unproven = &tls.Config{InsecureSkipVerify: true}

// offers looks at what the port's answer to EHLO lacks.
func (s *Site) offers(c *smtp.Client, r report) {
	for _, need := range []struct{ check, name, meaning, fix string }{
		{"port.8bitmime", "8BITMIME", "mail in 8 bits may be damaged on its way", s.undiscard("8BITMIME")},
		{"port.dsn", "DSN", "what senders said about receipts and bounces (NOTIFY, RET, ENVID) is lost", s.undiscard("DSN")},
		{"port.smtputf8", "SMTPUTF8", "mail with addresses in other scripts waits until it is given up",
			"postconf -e smtputf8_enable=yes && postfix reload"},
		{"port.xforward", "XFORWARD", "the MTA's log shows 127.0.0.1 as the client of all released mail",
			s.serviceSetting("smtpd_authorized_xforward_hosts", "127.0.0.0/8")},
	} {
		if need.name[0] != '8' && need.name != "DSN" && s.mta == nil {
			continue // Sendmail has neither, and takes no mail that needs them
		}
		if ok, _ := c.Extension(need.name); !ok {
			r.warn(need.check, need.fix, "the re-injection port does not offer %s: %s", need.name, need.meaning)
		}
	}
	_, size := c.Extension("SIZE")
	said, _ := strconv.ParseInt(size, 10, 64)
	s.size(said, r)
}

// size looks at the limit that the port says, 0 for none, and at the one that the service behind it has.
func (s *Site) size(said int64, r report) {
	most := s.largest()
	if behind := s.behindThePort(); behind > 0 && behind <= most && (said == 0 || said > behind) {
		r.bad("port.size", byHand+"which limit you want is your decision: take -o message_size_limit out of the service, "+
			"or give it a cleanup service without a limit (/usr/share/doc/recall-milter/docs/postfix.md), then: postfix reload",
			"the re-injection port says that it takes more than the %s of the cleanup service behind it: mail of about that "+
				"size comes back as a bounce when its grace ends", sized(behind))
		return
	}
	if said > 0 && said < most {
		r.warn("port.size", s.serviceSetting("message_size_limit", strconv.FormatInt(most, 10)),
			"the re-injection port takes %s, and the MTA takes in up to %s: larger mail goes out unheld", sized(said),
			sized(most))
	}
}

// behindThePort is the limit of the cleanup service that the re-injection port gives its mail to; 0: none, or not
// known.
func (s *Site) behindThePort() int64 {
	if s.mta == nil {
		return 0
	}
	service := s.mta.At(Endpoint(s.Config.Release.SMTP))
	if service == nil || service.Cleanup() == nil {
		return 0
	}
	return number(service.Cleanup().Get("message_size_limit"))
}

// largest is how many bytes a message that is held may have: what hold.max_size says, or the MTA takes from anybody.
func (s *Site) largest() int64 {
	most := int64(s.Config.Hold.MaxSize)
	if taken := s.intake(); taken > 0 {
		return min(most, taken)
	}
	return most
}

// intake is how many bytes a message may have that the MTA takes by any way in; 0: any number, or it is not known.
func (s *Site) intake() int64 {
	if s.mta == nil {
		c, err := readCF(s.Sendmail)
		if err != nil {
			return 0
		}
		return c.size
	}
	most := number(s.mta.Get("message_size_limit")) // also that of sendmail(1)
	for _, service := range s.mta.Running("smtpd") {
		limit := number(service.Get("message_size_limit"))
		if s.releases(service) {
			continue
		}
		if limit == 0 || most == 0 {
			return 0
		}
		most = max(most, limit)
	}
	return most
}

// takes looks whether the port takes our envelopes. Nothing is sent: there is no DATA.
func takes(c *smtp.Client, r report) {
	err := c.Mail("")
	if err == nil {
		err = c.Rcpt("doctor@example.org")
	}
	var no *textproto.Error
	if errors.As(err, &no) && (strings.Contains(no.Msg, ".7.") || no.Code/100 == 4 && !strings.Contains(no.Msg, "4.1.")) {
		r.bad("port.refuses", "recallctl setup --apply --reload", "the re-injection port refuses us: %d %s", no.Code, no.Msg)
	}
}
