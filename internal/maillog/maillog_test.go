package maillog

import (
	"errors"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestHeldLineIsTheContracts(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	s := holdstore.Submission{QueueID: "4XyZ", MessageID: "<1@corp.test>", Sender: holdstore.Path{Address: "a@corp.test"},
		Recipients: []holdstore.Path{{Address: "b@x.test"}, {Address: "c@x.test"}}}
	r := holdstore.Receipt{ID: "7K3MPQ2A9BCDE", Due: time.Date(2026, 5, 1, 9, 0, 0, 0, time.UTC)}
	New(zap.New(core), false).Held(s, r, holdstore.Terms{Rule: "default"}, 1234)
	want := "4XyZ: hold: id=7K3MPQ2A9BCDE, message-id=<1@corp.test>, from=<a@corp.test>, nrcpt=2, size=1234, rule=default, due=2026-05-01T09:00:00Z"
	if got := logs.All()[0].Message; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestInboundMailIsLoggedOnlyForDebugging(t *testing.T) {
	for level, want := range map[zapcore.Level]int{zap.InfoLevel: 1, zap.DebugLevel: 2} {
		core, logs := observer.New(level)
		l := New(zap.New(core), false)
		l.Skipped(holdstore.Submission{}, "inbound")
		l.Passed(holdstore.Submission{}, "larger than hold.max_size")
		if got := logs.Len(); got != want {
			t.Errorf("level %s: %d lines, want %d", level, got, want)
		}
	}
}

func TestTroubleIsOneLineThatAPersonReads(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	l := New(zap.New(core), false)
	l.Trouble("nothing is released", errors.New("connection\nrefused"))
	if got, want := logs.All()[0].Message, `nothing is released: connection\nrefused`; got != want || len(logs.All()[0].Context) > 0 {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestForgedLineBreaksStayOnTheLine(t *testing.T) {
	got := line("pass", "", []pair{{"from", "<a\nB: hold: id=1\x1b[2J\"q\">"}})
	if want := `NOQUEUE: pass: from=<a\nB: hold: id=1\x1b[2J"q">`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
