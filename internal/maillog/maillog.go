// Package maillog writes one line for each thing that happens to a message, so that one grep for a hold ID, a queue
// ID or a Message-ID follows it through this log and the MTA's.
//
// The text form is in Postfix's manner: "QUEUEID: hold: id=..., message-id=<...>, from=<...>, nrcpt=2, size=1234,
// rule=default, due=...". Nothing of a message's content is logged, and control characters are escaped.
package maillog

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/sanitize"
	"github.com/recall-milter/recall-milter/policy"
)

// Log has one method for each event. It is safe for concurrent use.
type Log struct {
	zap  *zap.Logger
	json bool
}

// New returns a log that writes to z; json says whether fields stay fields or become one line of text.
func New(z *zap.Logger, json bool) *Log { return &Log{zap: z, json: json} }

// pair is one name=value of a line.
type pair struct{ name, value string }

// event writes one line about one message.
func (l *Log) event(verb, queueID string, pairs ...pair) {
	l.eventAt(zap.InfoLevel, verb, queueID, pairs)
}

func (l *Log) eventAt(level zapcore.Level, verb, queueID string, pairs []pair) {
	if l.json {
		fields := []zap.Field{zap.String("queue_id", queueID)}
		for _, p := range pairs {
			fields = append(fields, zap.String(strings.ReplaceAll(p.name, "-", "_"), p.value))
		}
		l.zap.Log(level, verb, fields...)
		return
	}
	l.zap.Log(level, line(verb, queueID, pairs))
}

func line(verb, queueID string, pairs []pair) string {
	var b strings.Builder
	b.WriteString(sanitize.LogValue(orNone(queueID)) + ": " + verb + ": ")
	for i, p := range pairs {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(p.name + "=" + sanitize.LogValue(p.value))
	}
	return b.String()
}

func orNone(queueID string) string {
	if queueID == "" {
		return "NOQUEUE" // as Postfix says it
	}
	return queueID
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// from gives what every line about a submission begins with.
func from(id string, s holdstore.Submission) []pair {
	pairs := []pair{{"message-id", s.MessageID}, {"from", "<" + s.Sender.Address + ">"},
		{"nrcpt", strconv.Itoa(len(s.Recipients))}}
	if id != "" {
		pairs = append([]pair{{"id", id}}, pairs...)
	}
	return pairs
}

// Held logs that the store has committed the message, and the MTA is told to discard its copy.
func (l *Log) Held(s holdstore.Submission, r holdstore.Committed, t holdstore.Terms, size int64) {
	verb := "hold"
	if r.Found {
		verb = "hold-again" // the client's retry of a hold whose 250 it never heard
	}
	pairs := append(from(r.ID, s), pair{"size", strconv.FormatInt(size, 10)}, pair{"rule", t.Rule},
		pair{"due", stamp(r.Due)})
	if len(t.Replaces) > 0 {
		pairs = append(pairs, pair{"replaces", strings.Join(t.Replaces, " ")})
	}
	l.event(verb, s.QueueID, pairs...)
}

// Skipped logs mail that is none of our business, most of it inbound, only at level debug.
func (l *Log) Skipped(s holdstore.Submission, reason policy.Reason) {
	l.eventAt(zap.DebugLevel, "pass", s.QueueID, append(from("", s), pair{"reason", reason.Text}))
}

// Passed logs that an outbound message goes on at once, not held.
func (l *Log) Passed(s holdstore.Submission, reason policy.Reason) {
	l.event("pass", s.QueueID, append(from("", s), pair{"reason", reason.Text})...)
}

// Unheld logs that a message should have been held, but the store could not, and on_store_failure = "deliver".
func (l *Log) Unheld(s holdstore.Submission, err error) {
	l.event("unheld", s.QueueID, append(from("", s), pair{"reason", err.Error()})...)
}

// Deferred logs that the store could not hold a message, so the client was told to try again.
func (l *Log) Deferred(s holdstore.Submission, err error) {
	l.event("defer", s.QueueID, append(from("", s), pair{"reason", err.Error()})...)
}

// Commanded logs that a mail asked for a recall, its form, and what came of it.
func (l *Log) Commanded(s holdstore.Submission, form, outcome, detail string) {
	l.event("command", s.QueueID, append(from("", s), pair{"login", s.Login}, pair{"client", s.Client.Address},
		pair{"form", form}, pair{"outcome", outcome}, pair{"detail", detail})...)
}

// Judged logs that a recall command came in, and what the policy made of it.
func (l *Log) Judged(s holdstore.Submission, form, domain string, v policy.InboundVerdict) {
	l.event("inbound-recall", s.QueueID, append(from("", s), pair{"client", s.Client.Address}, pair{"form", form},
		pair{"domain", domain}, pair{"rule", v.Rule}, pair{"verdict", v.Result}, pair{"reason", v.Reason}, pair{"target",
			v.Target})...)
}

// Asked logs that the gateways of a domain are asked to take a released message back.
func (l *Log) Asked(h *holdstore.Hold, domain, requestID string) {
	l.event("ask", h.QueueID, pair{"id", h.ID}, pair{"message-id", h.MessageID}, pair{"domain", domain},
		pair{"request", requestID})
}

// Retracted logs that another gateway's request was carried out for one recipient, and what came of it.
func (l *Log) Retracted(messageID, recipient, requestID, outcome, detail string) {
	l.event("retract", "", pair{"message-id", messageID}, pair{"to", "<" + recipient + ">"}, pair{"request", requestID},
		pair{"outcome", outcome}, pair{"detail", detail})
}

// Reported logs that the sender is told what came of a recall after the release.
func (l *Log) Reported(h *holdstore.Hold) {
	l.event("report", h.QueueID, pair{"id", h.ID}, pair{"message-id", h.MessageID},
		pair{"to", "<" + h.Sender.Address + ">"})
}

// Released logs that the MTA took the message for so many recipients; reply has its new queue ID.
func (l *Log) Released(h *holdstore.Hold, recipients int, reply string, late time.Duration) {
	l.event("release", h.QueueID, pair{"id", h.ID}, pair{"message-id", h.MessageID},
		pair{"nrcpt", strconv.Itoa(recipients)},
		pair{"late", late.Round(time.Millisecond).String()}, pair{"reply", reply})
}

// Retried logs that an attempt failed for now.
func (l *Log) Retried(h *holdstore.Hold, detail string, in time.Duration) {
	l.event("retry", h.QueueID, pair{"id", h.ID}, pair{"message-id", h.MessageID}, pair{"in", in.String()},
		pair{"reason", detail})
}

// Failed logs that one recipient will never get the message.
func (l *Log) Failed(h *holdstore.Hold, recipient, detail string) {
	l.event("fail", h.QueueID, pair{"id", h.ID}, pair{"message-id", h.MessageID}, pair{"to", "<" + recipient + ">"},
		pair{"reason", detail})
}

// Bounced logs that the sender was told of failures, or why not.
func (l *Log) Bounced(h *holdstore.Hold, to, detail string) {
	l.event("bounce", h.QueueID, pair{"id", h.ID}, pair{"message-id", h.MessageID}, pair{"to", "<" + to + ">"},
		pair{"detail", detail})
}

// Panicked logs that a defect of the program ended what was going on, and only that.
func (l *Log) Panicked(what string, v any, stack []byte) {
	l.Trouble("a defect ended "+what+", please report it", fmt.Errorf("%v; %s", v, bytes.TrimSpace(stack)))
}

// Damaged logs that something in the store can't be used, which is out of the way of all else now.
func (l *Log) Damaged(what string) {
	l.Trouble("damage in the store costs only what it is in", errors.New(what))
}

// Started logs that the daemon runs, with this config.
func (l *Log) Started(version, config string, addresses ...string) {
	l.daemon(zap.InfoLevel, "start", append([]pair{{"version", version}, {"config", config}}, named(addresses)...))
}

// Reloaded logs that the daemon has read its config again; waiting are the changed keys that need a restart.
func (l *Log) Reloaded(config string, waiting []string) {
	pairs := []pair{{"config", config}}
	if len(waiting) > 0 {
		pairs = append(pairs, pair{"needs-restart", strings.Join(waiting, " ")})
	}
	l.daemon(zap.InfoLevel, "reloaded", pairs)
}

// keptOld is said first where a reload is refused: whoever reads on knows that nothing has changed.
const keptOld = "reload refused, the old config stays in force"

// ReloadRefused logs that the file can't be used, and each error on a line of its own; in JSON, all in one object.
func (l *Log) ReloadRefused(config string, wrong []string) {
	if l.json {
		l.zap.Warn(keptOld, zap.String("config", config), zap.Strings("errors", wrong))
		return
	}
	l.daemon(zap.WarnLevel, keptOld, []pair{{"config", config}, {"errors", strconv.Itoa(len(wrong))}})
	for _, text := range wrong {
		l.zap.Warn("reload refused: " + sanitize.LogValue(text))
	}
}

// ListRead logs that the file of a list has changed, and that its entries are in force.
func (l *Log) ListRead(name string, entries int) {
	l.daemon(zap.InfoLevel, "list", []pair{{"list", name}, {"entries", strconv.Itoa(entries)}})
}

// Stopping logs that the daemon takes no new session, finishes what is under way, and ends.
func (l *Log) Stopping(reason string) { l.daemon(zap.InfoLevel, "stop", []pair{{"reason", reason}}) }

// Dies logs that the daemon ends, as it can't do its work.
func (l *Log) Dies(err error) { l.daemon(zap.ErrorLevel, "stop", []pair{{"reason", err.Error()}}) }

// Ended logs that nothing of the daemon runs any more.
func (l *Log) Ended() { l.daemon(zap.InfoLevel, "end", nil) }

// named makes pairs of "name=value".
func named(texts []string) (pairs []pair) {
	for _, text := range texts {
		name, value, _ := strings.Cut(text, "=")
		pairs = append(pairs, pair{name, value})
	}
	return pairs
}

// daemon writes a line about the daemon itself.
func (l *Log) daemon(level zapcore.Level, verb string, pairs []pair) {
	if l.json {
		var fields []zap.Field
		for _, p := range pairs {
			fields = append(fields, zap.String(strings.ReplaceAll(p.name, "-", "_"), p.value))
		}
		l.zap.Log(level, verb, fields...)
		return
	}
	text := verb
	for n, p := range pairs {
		text += map[bool]string{true: ": ", false: ", "}[n == 0] + p.name + "=" + sanitize.LogValue(p.value)
	}
	l.zap.Log(level, text)
}

// Trouble logs that something outside one message's way went wrong; msg says what it means for the mail.
func (l *Log) Trouble(msg string, err error) {
	if l.json {
		l.zap.Warn(msg, zap.Error(err))
		return
	}
	if err != nil {
		msg += ": " + err.Error()
	}
	l.zap.Warn(sanitize.LogValue(msg))
}

// Recovered logs that something of which Trouble has told is over, and how long it has lasted.
func (l *Log) Recovered(msg string, lasted time.Duration) {
	after := lasted.Round(time.Second / 10).String()
	if l.json {
		l.zap.Info(msg, zap.String("after", after))
		return
	}
	l.zap.Info(msg + ", after " + after)
}
