package maillog

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/sanitize"
	"github.com/recall-milter/recall-milter/policy"
)

func TestHeldLineIsTheContracts(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	s := holdstore.Submission{QueueID: "4XyZ", MessageID: "<1@corp.test>", Sender: holdstore.Path{Address: "a@corp.test"},
		Recipients: []holdstore.Path{{Address: "b@x.test"}, {Address: "c@x.test"}}}
	r := holdstore.Committed{ID: "7K3MPQ2A9BCDE", Due: time.Date(2026, 5, 1, 9, 0, 0, 0, time.UTC)}
	New(zap.New(core), false).Held(s, r, holdstore.Terms{Rule: "default"}, 1234)
	want := "4XyZ: hold: id=7K3MPQ2A9BCDE, message-id=<1@corp.test>, from=<a@corp.test>, nrcpt=2, size=1234, " +
		"rule=default, due=2026-05-01T09:00:00Z"
	if got := logs.All()[0].Message; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestInboundMailIsLoggedOnlyForDebugging(t *testing.T) {
	for level, want := range map[zapcore.Level]int{zap.InfoLevel: 1, zap.DebugLevel: 2} {
		core, logs := observer.New(level)
		l := New(zap.New(core), false)
		l.Skipped(holdstore.Submission{}, policy.Reason{Text: "inbound"})
		l.Passed(holdstore.Submission{}, policy.Reason{Text: "larger than hold.max_size"})
		if got := logs.Len(); got != want {
			t.Errorf("level %s: %d lines, want %d", level, got, want)
		}
	}
}

func TestTroubleIsOneLineThatAPersonReads(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	l := New(zap.New(core), false)
	l.Trouble("nothing is released", errors.New("connection\nrefused"))
	if got, want := logs.All()[0].Message, `nothing is released: connection\nrefused`; got != want ||
		len(logs.All()[0].Context) > 0 {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTheEndOfTroubleSaysHowLongItLasted(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	New(zap.New(core), false).Recovered("the store answers again", 72*time.Second+4*time.Millisecond)
	New(zap.New(core), true).Recovered("the store answers again", time.Minute)
	text, object := logs.All()[0], logs.All()[1]
	if text.Message != "the store answers again, after 1m12s" || object.Message != "the store answers again" ||
		object.ContextMap()["after"] != "1m0s" {
		t.Errorf("%+v, %+v", text, object)
	}
}

// Whoever reads about a refused reload learns first that nothing has changed, and then each error, not joined.
func TestEachErrorOfARefusedReloadHasALine(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	wrong := []string{"x.toml:3:1: hold.grace: no\nduration", "x.toml:7:1: hold.rule: no name"}
	New(zap.New(core), false).ReloadRefused("/etc/x.toml", wrong)
	New(zap.New(core), false).ReloadRefused("/etc/x.toml", []string{"the config can't be read"})
	New(zap.New(core), true).ReloadRefused("/etc/x.toml", wrong)
	var got []string
	for _, e := range logs.All() {
		got = append(got, e.Message)
		if e.Level != zap.WarnLevel {
			t.Errorf("%s is written as %v", e.Message, e.Level)
		}
	}
	const kept = "reload refused, the old config stays in force"
	want := []string{kept + ": config=/etc/x.toml, errors=2", `reload refused: x.toml:3:1: hold.grace: no\nduration`,
		"reload refused: x.toml:7:1: hold.rule: no name", kept + ": config=/etc/x.toml, errors=1",
		"reload refused: the config can't be read", kept}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if fields := logs.All()[len(got)-1].ContextMap(); fields["config"] != "/etc/x.toml" ||
		fmt.Sprint(fields["errors"]) != "[x.toml:3:1: hold.grace: no\nduration x.toml:7:1: hold.rule: no name]" {
		t.Errorf("%v", fields)
	}
}

func TestForgedLineBreaksStayOnTheLine(t *testing.T) {
	got := line("pass", "", []pair{{"from", "<a\nB: hold: id=1\x1b[2J\"q\">"}})
	if want := `NOQUEUE: pass: from=<a\nB: hold: id=1\x1b[2J"q">`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// every calls all methods that tell of a message.
func every(l *Log) {
	s := holdstore.Submission{QueueID: "4XyZ", MessageID: "<1@corp.test>", Sender: holdstore.Path{Address: "a@corp.test"}}
	h := &holdstore.Hold{ID: "7K3MPQ2A9BCDE", Submission: s}
	l.Held(s, holdstore.Committed{ID: h.ID}, holdstore.Terms{Rule: "default"}, 1234)
	l.Held(s, holdstore.Committed{ID: h.ID, Found: true}, holdstore.Terms{}, 1234)
	l.Skipped(s, policy.Reason{Text: "inbound"})
	l.Passed(s, policy.Reason{Text: "a\nb"})
	l.Unheld(s, errors.New("full"))
	l.Deferred(s, errors.New("away"))
	l.Commanded(s, "address", "recalled", "x")
	l.Judged(s, "outlook", "far.test", policy.InboundVerdict{Result: "pass"})
	l.Asked(h, "far.test", "9")
	l.Retracted(s.MessageID, "b@x.test", "9", "retracted", "unread")
	l.Reported(h)
	l.Released(h, 2, "250 2.0.0 Ok: queued as 4XyQ", time.Second)
	l.Retried(h, "452 full", time.Second)
	l.Failed(h, "b@x.test", "550 no")
	l.Bounced(h, "a@corp.test", "250 ok")
}

func TestJSONHasTheFieldsOfTheText(t *testing.T) {
	text, lines := observer.New(zap.DebugLevel)
	every(New(zap.New(text), false))
	object, objects := observer.New(zap.DebugLevel)
	every(New(zap.New(object), true))
	for n, e := range objects.All() {
		line := lines.All()[n].Message
		queueID, rest, _ := strings.Cut(line, ": ")
		verb, rest, _ := strings.Cut(rest, ": ")
		fields := e.ContextMap()
		if id := fields["queue_id"]; id != queueID && (id != "" || queueID != "NOQUEUE") || e.Message != verb {
			t.Errorf("%s %v is not %s", e.Message, fields, line)
		}
		delete(fields, "queue_id")
		for name, value := range fields {
			if pair := strings.ReplaceAll(name, "_", "-") + "=" +
				sanitize.LogValue(value.(string)); !strings.Contains(", "+rest+", ", ", "+pair+", ") {
				t.Errorf("%s is not in %s", pair, line)
			}
		}
		if want := len(regexp.MustCompile(`(^|, )[a-z-]+=`).FindAllString(rest, -1)); len(fields) != want {
			t.Errorf("%d fields of %d: %s", len(fields), want, line)
		}
	}
	if objects.Len() < 15 {
		t.Errorf("only %d lines", objects.Len())
	}
}
