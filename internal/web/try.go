package web

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/choice"
	"github.com/recall-milter/recall-milter/internal/trial"
)

// tried is a message that a caller asks about: the fields are those of recallctl test.
type tried struct {
	Message    string    `json:"message"` // or only its header
	Size       int64     `json:"size"`    // bytes, where message is less than all of it
	Sender     string    `json:"sender"`
	Recipients []string  `json:"recipients"`
	Login      string    `json:"login"`
	Client     string    `json:"client"`
	DaemonName string    `json:"daemon_name"`
	At         time.Time `json:"at"` // zero: now
}

// fate is what would become of it.
type fate struct {
	Hold   bool      `json:"hold"`
	Rule   string    `json:"rule"`
	Grace  string    `json:"grace"`
	Until  time.Time `json:"until,omitzero"` // when it would leave, where the rule or a wish names that moment
	Reason string    `json:"reason"`
	Steps  []string  `json:"steps"` // how the rules came to it; for operators
}

const recipientsTried = 1000

// apiTest says what the rules would do with a message. A person's is tested with their own login.
func (s *Server) apiTest(r *http.Request, c *caller) (any, error) {
	var t tried
	err := readBody(r, &t)
	if err != nil {
		return nil, err
	}
	m := trial.Message{Sender: t.Sender, Recipients: t.Recipients, Login: t.Login, DaemonName: t.DaemonName, Now: t.At,
		Size: t.Size}
	if !c.Operator {
		if t.Login != "" && !holdstore.Same(t.Login, c.Login) || t.Client != "" || t.DaemonName != "" {
			return nil, forbidden("leave out login, client and daemon_name: the message is tested as one of yours")
		}
		m.Login = c.Login
		if m.Sender, err = s.testedAs(r.Context(), c, t.Sender); err != nil {
			return nil, err
		}
	}
	if m.OwnGrace, err = s.store.ChosenGrace(r.Context(), choice.Names(m.Login, m.Sender)...); err != nil {
		return nil, err
	}
	if m.Client, err = readClient(t.Client); err != nil || len(t.Recipients) > recipientsTried || t.Size < 0 {
		return nil, invalid(http.StatusUnprocessableEntity,
			"client must be an IP address, size not negative, and recipients at most 1000")
	}
	if m.Now.IsZero() {
		m.Now = s.now()
	}
	text := t.Message
	if !strings.Contains(text, "\n\n") && !strings.Contains(text, "\r\n\r\n") { // a header alone
		text = strings.TrimRight(text, "\r\n") + "\r\n\r\n"
	}
	v, err := s.o.Rules.Verdict(r.Context(), m, strings.NewReader(text))
	if errors.Is(err, trial.ErrHeader) {
		return nil, invalid(http.StatusUnprocessableEntity, "the header of the message can't be read")
	}
	if err != nil {
		return nil, err
	}
	out := fate{Hold: v.Hold, Rule: v.Rule, Grace: v.Grace.String(), Until: v.Until, Reason: v.Reason.Text,
		Steps: []string{}}
	if c.Operator {
		out.Steps = append(out.Steps, v.Steps...)
	}
	return out, nil
}

// testedAs is the sender of a message that a person tests: one of their own addresses, so that nobody learns the rules
// for others. With a login alone, these are itself and the addresses from which it has sent mail lately.
func (s *Server) testedAs(ctx context.Context, c *caller, sender string) (string, error) {
	same := func(own string) bool { return holdstore.Same(own, sender) }
	switch {
	case sender == "" && len(c.Addresses) > 0:
		return c.Addresses[0], nil
	case sender == "", slices.ContainsFunc(c.Addresses, same), c.Login != "" && same(c.Login):
		return sender, nil
	case c.Login != "":
		sent, err := s.store.Latest(ctx, holdstore.Whose{Login: c.Login}, 1, func(h *holdstore.Hold) bool {
			return s.desk.OfOurs(h) && same(h.Sender.Address)
		})
		if len(sent) > 0 {
			return sender, nil
		}
		if err != nil && !errors.Is(err, holdstore.ErrMany) {
			return "", err
		}
	}
	return "", forbidden("sender must be an address of yours: leave it out, or name one from which you have sent mail")
}

// readClient reads the address of a client; 127.0.0.1 when none is named.
func readClient(text string) (netip.Addr, error) {
	if text == "" {
		text = "127.0.0.1"
	}
	return netip.ParseAddr(text)
}
