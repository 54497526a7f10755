package maillog

import (
	"fmt"
	"log/syslog"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/recall-milter/recall-milter/holdstore"
)

// Syslog returns a log for a program that ends soon. It writes to the syslog daemon of this machine, with facility
// mail, so that the lines are next to those of the MTA. path is a socket of syslog; "": where this system has it.
func Syslog(program, path string) (*Log, error) {
	network := ""
	if path != "" {
		network = "unixgram"
	}
	w, err := syslog.Dial(network, path, syslog.LOG_MAIL|syslog.LOG_INFO, program)
	if err != nil {
		return nil, fmt.Errorf("no syslog: %w", err)
	}
	encoder := zapcore.NewConsoleEncoder(zapcore.EncoderConfig{MessageKey: "msg"})
	return New(zap.New(zapcore.NewCore(encoder, zapcore.AddSync(w), zap.InfoLevel)), false), nil
}

// Silent returns a log that writes nothing.
func Silent() *Log { return New(zap.NewNop(), false) }

// Acted logs that a person, or another gateway, did something to a hold, which is as it was after that; nil: to all of
// the store. A release that is not the daemon's own is "release-now". A recall for some recipients (only), after which
// others still get the message, is "recall-only": who repeats recalls must not take the message from the others. By
// these lines a store that was brought back from a copy is made to agree with what was done after the copy
// (docs/backup.md).
func (l *Log) Acted(h *holdstore.Hold, verb string, by holdstore.Actor, only ...string) {
	queueID, pairs := "", []pair{}
	if h != nil {
		queueID = h.QueueID
		pairs = append(pairs, pair{"id", h.ID}, pair{"message-id", h.MessageID}, pair{"sender", "<" + h.Sender.Address + ">"})
	}
	if h != nil && len(only) > 0 && h.State != holdstore.Recalled {
		verb += "-only"
		pairs = append(pairs, pair{"to", strings.Join(only, ",")})
	}
	pairs = append(pairs, pair{"by", by.By}, pair{"at", by.From}, pair{"reason", by.Reason})
	l.event(verb, queueID, pairs...)
}
