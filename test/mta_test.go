package test

import (
	"os/exec"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// mta is what a gateway needs to know of Postfix or Sendmail.
type mta struct {
	smtp, reinject string
	log            func() string
	kill, start    func()                              // at once, and again
	command        func(arguments ...string) *exec.Cmd // a run of its sendmail program
}

// kind starts an MTA for a milter and a next hop.
type kind func(t *testing.T, milter, nextHop string) mta

var kinds = map[string]kind{"Postfix": withPostfix, "Sendmail": withSendmail}

func withPostfix(t *testing.T, milter, nextHop string) mta {
	return ofPostfix(server.StartPostfix(t, milter, nextHop))
}

func ofPostfix(p *server.Postfix) mta {
	return mta{smtp: p.SMTP, reinject: p.Reinject, log: p.Log, kill: p.Kill, start: p.Start, command: p.Command}
}

// withSendmail starts a Sendmail made of the lines that we ship for it.
func withSendmail(t *testing.T, milter, nextHop string) mta {
	return ofSendmail(server.StartSendmail(t, sendmailLines, milter, nextHop))
}

const sendmailLines = "../packaging/sendmail/recall-milter.m4"

func ofSendmail(s *server.Sendmail) mta {
	return mta{smtp: s.SMTP, reinject: s.Reinject, log: s.Log, kill: s.Kill, start: s.Start, command: s.Command}
}

// offices are the same with users who can log in.
var offices = map[string]kind{
	"Postfix": func(t *testing.T, milter, nextHop string) mta {
		return ofPostfix(server.StartPostfix(t, milter, nextHop, server.StartLogins(t, users...)))
	},
	"Sendmail": func(t *testing.T, milter, nextHop string) mta {
		return ofSendmail(server.StartSendmail(t, sendmailLines, milter, nextHop, users...))
	},
}

var users = []string{"anna", "bert", "assistant"}

// eachMTA runs a test behind Postfix and behind Sendmail. What an MTA has no part in (sealing, races in the store, dead
// daemons, other gateways) is tried with one of them, and so is what only one of them has: its own settings and ports.
func eachMTA(t *testing.T, test func(t *testing.T, k kind)) {
	eachOf(t, kinds, test)
}

func eachOf(t *testing.T, kinds map[string]kind, test func(t *testing.T, k kind)) {
	t.Parallel()
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, k)
		})
	}
}

// gateway starts a gateway with this MTA.
func (k kind) gateway(t *testing.T, grace string) *gateway {
	t.Helper()
	return startGatewayWith(t, grace, func(milter, nextHop string) mta { return k(t, milter, nextHop) })
}

// gatewayTo starts one whose re-injection port is a sink of the test's own.
func (k kind) gatewayTo(t *testing.T, grace string) (*gateway, *server.Sink) {
	t.Helper()
	port := server.StartSink(t)
	return startGatewayWith(t, grace, func(milter, nextHop string) mta {
		m := k(t, milter, nextHop)
		m.reinject = port.Addr
		return m
	}), port
}
