package milter

import (
	"errors"
	"strings"

	gomilter "github.com/emersion/go-milter"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/milter/internal/wire"
	"github.com/recall-milter/recall-milter/policy"
)

// Bounds of one envelope.
const (
	maxRcpt     = 50000
	maxEnvelope = 16 << 20 // bytes of all addresses and arguments
	maxArgs     = 100      // of one address
)

var errEnvelope = errors.New("the envelope is larger than can be held")

// path reads the data of an M or R frame: the address, then ESMTP arguments, verbatim.
func path(data []byte) (holdstore.Path, error) {
	parts := wire.Strings(data)
	if len(parts) == 0 {
		return holdstore.Path{}, nil
	}
	if len(parts) > 1+maxArgs {
		return holdstore.Path{}, errEnvelope
	}
	address := parts[0]
	if len(address) >= 2 && strings.HasPrefix(address, "<") && strings.HasSuffix(address, ">") {
		address = address[1 : len(address)-1]
	}
	return holdstore.Path{Address: address, Args: parts[1:]}, nil
}

// MailFrom begins a message.
func (s *session) MailFrom(string, *gomilter.Modifier) (r gomilter.Response, err error) {
	defer s.guard(&r)
	s.forget()
	macros := s.macros
	sender, err := path(s.raw)
	s.msg = message{open: true, envelope: len(s.raw), sub: holdstore.Submission{Sender: sender, Client: s.client,
		Login: macros["auth_authen"], AuthType: macros["auth_type"], TLS: macros["tls_version"],
		Daemon: macros["daemon_name"], Gateway: macros["j"]}}
	if err != nil {
		return s.deferred(err), nil
	}
	switch v := s.server.Policy().Decide(s.facts(policy.AtMail)); {
	case v.Inbound && s.server.Inbound != nil:
		s.msg.arrival = &arrival{}
	case v.Certain && !v.Hold:
		sub := s.msg.sub
		s.reset()
		s.server.Log.Skipped(sub, v.Reason)
		return gomilter.RespAccept, nil
	}
	return gomilter.RespContinue, nil
}

// RcptTo takes one recipient. What is too much is left to a message of its own (RFC 5321 section 4.5.3.1.10).
func (s *session) RcptTo(string, *gomilter.Modifier) (r gomilter.Response, err error) {
	defer s.guard(&r)
	m := &s.msg
	to, err := path(s.raw)
	if err != nil || len(m.sub.Recipients) >= maxRcpt || m.envelope+len(s.raw) > maxEnvelope || !s.enlarge(len(s.raw)) {
		return replyWith("452 4.5.3 too many recipients, send the message to the others by itself"), nil
	}
	m.envelope += len(s.raw)
	m.sub.Recipients = append(m.sub.Recipients, to)
	return gomilter.RespContinue, nil
}
