package monitor

import (
	"errors"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/policy"
)

// Held counts and logs, as all methods here do; maillog.Log says what each means.
func (m *Metrics) Held(s holdstore.Submission, r holdstore.Committed, t holdstore.Terms, size int64) {
	if r.Found {
		m.verdicts.WithLabelValues("hold_again", "rule").Inc()
	} else {
		m.verdicts.WithLabelValues("hold", "rule").Inc()
		m.ruleHolds.WithLabelValues(t.Rule).Inc()
		m.heldBytes.Add(float64(size))
	}
	m.Log.Held(s, r, t, size)
}

// Passed counts and logs.
func (m *Metrics) Passed(s holdstore.Submission, reason policy.Reason) {
	m.verdicts.WithLabelValues("pass", string(reason.Code)).Inc()
	m.Log.Passed(s, reason)
}

// Skipped counts and logs.
func (m *Metrics) Skipped(s holdstore.Submission, reason policy.Reason) {
	m.verdicts.WithLabelValues("skip", string(reason.Code)).Inc()
	m.Log.Skipped(s, reason)
}

// Unheld counts and logs.
func (m *Metrics) Unheld(s holdstore.Submission, err error) {
	m.verdicts.WithLabelValues("unheld", kindOf(err)).Inc()
	m.Log.Unheld(s, err)
}

// Deferred counts and logs.
func (m *Metrics) Deferred(s holdstore.Submission, err error) {
	m.verdicts.WithLabelValues("defer", kindOf(err)).Inc()
	m.Log.Deferred(s, err)
}

// Commanded counts and logs.
func (m *Metrics) Commanded(s holdstore.Submission, form, outcome, detail string) {
	m.commands.WithLabelValues(strings.ReplaceAll(outcome, "-", "_")).Inc()
	m.Log.Commanded(s, form, outcome, detail)
}

// Judged counts and logs.
func (m *Metrics) Judged(s holdstore.Submission, form, domain string, v policy.InboundVerdict) {
	m.inbound.WithLabelValues(v.Result).Inc()
	m.Log.Judged(s, form, domain, v)
}

// Asked counts and logs.
func (m *Metrics) Asked(h *holdstore.Hold, domain, requestID string) {
	m.requests.Inc()
	m.Log.Asked(h, domain, requestID)
}

// Retracted counts and logs.
func (m *Metrics) Retracted(messageID, recipient, requestID, outcome, detail string) {
	m.retractions.WithLabelValues(outcome).Inc()
	m.Log.Retracted(messageID, recipient, requestID, outcome, detail)
}

// Released counts and logs.
func (m *Metrics) Released(h *holdstore.Hold, recipients int, reply string, late time.Duration) {
	m.releases.WithLabelValues("released").Inc()
	m.lateness.Observe(late.Seconds())
	m.heldFor.Observe(time.Since(h.HeldAt).Seconds())
	m.Log.Released(h, recipients, reply, late)
}

// Retried counts and logs.
func (m *Metrics) Retried(h *holdstore.Hold, detail string, in time.Duration) {
	m.releases.WithLabelValues("retried").Inc()
	m.Log.Retried(h, detail, in)
}

// Failed counts and logs.
func (m *Metrics) Failed(h *holdstore.Hold, recipient, detail string) {
	m.releases.WithLabelValues("failed").Inc()
	m.Log.Failed(h, recipient, detail)
}

// Bounced counts and logs.
func (m *Metrics) Bounced(h *holdstore.Hold, to, detail string) {
	m.releases.WithLabelValues("bounced").Inc()
	m.Log.Bounced(h, to, detail)
}

// Panicked counts and logs.
func (m *Metrics) Panicked(what string, v any, stack []byte) {
	m.panics.Inc()
	m.troubles.Inc()
	m.Log.Panicked(what, v, stack)
}

// Damaged counts and logs.
func (m *Metrics) Damaged(what string) {
	m.troubles.Inc()
	m.unreadable.Inc()
	m.Log.Damaged(what)
}

// Trouble counts and logs.
func (m *Metrics) Trouble(msg string, err error) {
	if m.troubles.Inc(); errors.Is(err, holdstore.ErrNoKey) || errors.Is(err, holdstore.ErrDamaged) {
		m.unreadable.Inc()
	}
	m.Log.Trouble(msg, err)
}
