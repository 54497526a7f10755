package doctor

import (
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/internal/postfix"
)

// BeforeTheHold says what a setup of Postfix can't write by itself.
func BeforeTheHold(s *Site, mta *postfix.Config) (found []Finding) {
	of := *s
	of.mta = mta
	of.beforeTheHold(func(f Finding) { found = append(found, f) })
	return found
}

// beforeTheHold looks at what happens to a message before it is held and is lost with it, and that the re-injection
// port can't do (docs/before-the-hold.md).
func (s *Site) beforeTheHold(r report) {
	asked := map[string]bool{}
	for _, service := range s.mta.Holding(s.Needs()) {
		for _, check := range service.Treatment().Unseen {
			rule, table, _ := strings.Cut(check, " ")
			const fix = byHand +
				`whom it concerns only you know: write a [[hold.rule]] with grace = "0s" for these senders, ` +
				"or the action into a table of senders (/usr/share/doc/recall-milter/docs/before-the-hold.md)"
			if s.mta.Acts(table) == postfix.Yes {
				r.bad("postfix.unseen", fix, "%s: %s has HOLD, FILTER, REDIRECT or BCC, which is lost with a held message: the "+
					"re-injection port does not see the client or login", service, check)
			} else if s.mta.Acts(table) == postfix.No {
				r.warn("postfix.unseen", fix,
					"%s: %s answers with a restriction class whose checks may say HOLD, FILTER, REDIRECT or BCC: "+
						"that is lost with a held message", service, check)
			} else if rule == "check_policy_service" {
				r.warn("postfix.unseen", fix,
					"%s: when the policy server %s answers HOLD, FILTER, REDIRECT or BCC, that is lost with a held message", service,
					table)
			} else {
				r.warn("postfix.unseen", fix,
					"%s: %s can't be read here: a HOLD, FILTER, REDIRECT or BCC of it is lost with a held message", service, check)
			}
		}
		list := "smtpd_milters"
		if service.Command == "pickup" {
			service, list = service.Cleanup(), "non_smtpd_milters"
		}
		s.editors(service, list, asked, r)
	}
	s.filtersBack(r)
	for _, stray := range s.mta.Strays(s.Needs()) {
		s.stray(stray, r)
	}
}

// filtersBack looks at the way back from a content filter: what comes there was seen by the milter before the filter.
func (s *Site) filtersBack(r report) {
	for _, service := range s.mta.WaysBack(s.Needs()) {
		r.warn("postfix.back", "postconf -P '"+service.String()+"/smtpd_milters=' && postfix reload",
			"%s, where a content filter hands back, has our milter, which saw that mail before the filter: a filter that "+
				"changes the "+
				"body of released mail makes it wait again, and again, until it has too many hops and bounces", service)
	}
}

// stray is a service whose mail needs a port of its own.
func (s *Site) stray(stray postfix.Stray, r report) {
	name, fix := stray.Service.DaemonName(), byHand+"which port is free is your decision: "
	if stray.Shared {
		name = map[bool]string{true: "LOCAL", false: "SUBMISSION"}[stray.Service.Command == "pickup"]
		fix += "postconf -P '" + stray.Service.Named().String() + "/milter_macro_daemon_name=" + name +
			"' && postfix reload, then "
	}
	fix += `write smtp_by_daemon = { "` + name + `" = "127.0.0.1:10028" } under [release] into ` + s.File +
		`, then: systemctl restart recall-milter && recallctl setup --apply --reload`
	r.bad("postfix.service", fix,
		"%s differs in %s from %s, by which its held mail leaves: what it does to mail is not done to what was held",
		stray.Service, strings.Join(stray.Settings, ", "), stray.Port.Address)
}

// Actions that a milter asks for in its negotiation and that change more than content.
const (
	milterAddsRcpt    = 0x04
	milterRemovesRcpt = 0x08
	milterQuarantines = 0x20
	milterChangesFrom = 0x40
	milterAddsRcptPar = 0x80
)

// milterNothing is an action that no protocol has. A milter that asks for it as well asks for all that it is offered,
// as Rspamd does, and says nothing of what it does.
const milterNothing = 1 << 30

// editors asks the milters before ours what they may do. What they do to the envelope is in the queue file.
func (s *Site) editors(service *postfix.Service, list string, asked map[string]bool, r report) {
	for _, m := range postfix.Milters(service.Get(list)) {
		if slices.ContainsFunc(s.Listening(), func(at postfix.Endpoint) bool { return service.Reaches(m.Address, at) }) {
			return
		}
		if asked[m.Address] {
			continue
		}
		asked[m.Address] = true
		actions := negotiated(service, m.Address)
		say := r.warn
		if actions&milterNothing != 0 {
			say = r.note
		}
		var may []string
		for bits, words := range map[uint32]string{milterChangesFrom: "change the sender",
			milterAddsRcpt | milterAddsRcptPar: "add recipients", milterRemovesRcpt: "remove recipients"} {
			if actions&bits != 0 {
				may = append(may, words)
			}
		}
		if slices.Sort(may); len(may) == 0 {
			continue
		}
		if actions&milterQuarantines != 0 {
			may = append(may, "put mail into quarantine")
		}
		say("postfix.envelope",
			byHand+"what it does with your mail only you know (/usr/share/doc/recall-milter/docs/before-the-hold.md), "+
				"and if it does that, "+
				"it belongs to the re-injection port: "+s.moved(m.Address),
			"the milter %s before ours may %s: that is lost with a held message", m.Address, strings.Join(may, ", "))
	}
}

// moved is the command that gives a milter to the re-injection port instead.
func (s *Site) moved(address string) string {
	var command string
	for _, change := range s.mta.Moved(address, s.Needs()) {
		command += change.Command("") + " && "
	}
	return command + "postfix reload"
}

// negotiated asks a milter which actions it wants; 0: none, or it does not answer.
func negotiated(service *postfix.Service, address string) uint32 {
	at, ok := service.MilterEndpoint(address)
	if !ok {
		return 0
	}
	conn, err := net.DialTimeout(at.Network, at.Address, briefly)
	if err != nil {
		return 0
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(briefly))
	const version, everyAction, everyStep = 6, 0x1ff | milterNothing, 0x1fffff
	offer := binary.BigEndian.AppendUint32(nil, 13)
	offer = append(offer, 'O')
	for _, n := range []uint32{version, everyAction, everyStep} {
		offer = binary.BigEndian.AppendUint32(offer, n)
	}
	if _, err := conn.Write(offer); err != nil {
		return 0
	}
	answer := make([]byte, 4+13)
	if _, err := io.ReadFull(conn, answer); err != nil || answer[4] != 'O' {
		return 0
	}
	_, _ = conn.Write([]byte{0, 0, 0, 1, 'Q'})
	return binary.BigEndian.Uint32(answer[9:])
}
