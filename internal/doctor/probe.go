package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/wiring"
	"github.com/recall-milter/recall-milter/policy"
)

// way is one way into the MTA.
type entryPoint struct {
	name   string
	submit func(ctx context.Context, address, message string) error
}

// Bounds of probes. sendmail(1) only leaves a message for Postfix to pick up.
const (
	probeTime = 20 * time.Second
	heldTime  = 10 * time.Second
	probeStep = 50 * time.Millisecond
)

// errLogin says that a way is only for users who log in.
var errLogin = errors.New("it wants a login")

// probes sends a message by every way in, sees whether it is held, and takes it back.
func probes(ctx context.Context, s *Site, r report) {
	if s.sick {
		r.warn("probe.unchecked",
			byHand+"what this report says of Redis and the daemon comes first; then: recallctl doctor --probe "+s.Probe,
			"no probe was sent: it could not be held now")
		return
	}
	if v, err := s.verdict(); err != nil || !v.Hold {
		r.warn("probe.unchecked",
			byHand+"only you know an address whose mail is held (recallctl test says it): name it with --probe",
			"no probe was sent: mail of %s is not held: %s", s.Probe, v.Reason)
		return
	}
	for _, w := range s.entryPoints() {
		s.probe(ctx, w, r)
	}
}

// verdict is what our rules say about a probe.
func (s *Site) verdict() (policy.Verdict, error) {
	rules, err := wiring.Outbound(s.Config)
	if err != nil {
		return policy.Verdict{Reason: policy.Reason{Text: err.Error()}}, err
	}
	return rules.Decide(policy.Facts{Known: policy.AtEnd, Client: netip.MustParseAddr("127.0.0.1"), Sender: s.Probe,
		Recipients: []string{s.Probe}, Now: time.Now()}), nil
}

func (s *Site) probe(ctx context.Context, w entryPoint, r report) {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	id := "<doctor." + strings.ToLower(rand.Text()) + "@recall-milter.invalid>"
	err := w.submit(ctx, s.Probe, s.message(id, w.name))
	switch {
	case errors.Is(err, errLogin):
		r.fine("probe", "%s wants a login, and was not tried; its milters are looked at above", w.name)
		return
	case err != nil:
		r.bad("probe.refused", byHand+"the MTA's log says why: grep for "+s.Probe, "%s does not take mail of %s: %s", w.name,
			s.Probe, words(err))
		return
	}
	h := s.held(ctx, id)
	if h == nil {
		r.bad("probe.bypass", byHand+"another finding here names the setting (postfix.entry, postfix.local, "+
			"sendmail.entry); if there is none, the MTA runs with an older config: postfix reload",
			"%s bypasses the hold: a probe that it took is not held, and on its way to %s", w.name, s.Probe)
		return
	}
	if _, err := s.Store.Recall(ctx, h.ID, s.Act); err != nil {
		r.warn("probe.sent", "recallctl show "+h.ID, "%s: the probe was held, and could not be taken back: %s", w.name,
			words(err))
		return
	}
	r.fine("probe", "mail by %s is held (%s, taken back)", w.name, h.ID)
}

// held waits until a message is held; nil: it is not.
func (s *Site) held(ctx context.Context, messageID string) *holdstore.Hold {
	ctx, cancel := context.WithTimeout(ctx, heldTime)
	defer cancel()
	for {
		if holds, err := s.Store.Resolve(ctx, messageID); err == nil && len(holds) > 0 {
			return holds[0]
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(probeStep):
		}
	}
}

// message is a probe. Its wish keeps it from leaving before it is taken back.
func (s *Site) message(id, name string) string {
	wish := ""
	if field := s.Config.Hold.RequestHeader; field != "" {
		wish = field + ": 10m\n"
	}
	return fmt.Sprintf("From: <%[1]s>\nTo: <%[1]s>\nSubject: Recall Milter: probe by %[2]s\nMessage-ID: %[3]s\nDate: "+
		"%[4]s\n%[5]s\n"+
		"recallctl doctor sent this to see whether mail by %[2]s is held. You should never see it:\nwhoever does knows "+
		"that such mail goes out unheld.\n",
		s.Probe, name, id, time.Now().Format(time.RFC1123Z), wish)
}
