package maillog

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/policy"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Every event is either one that logcheck keeps from the administrator's mail, or one that they should see.
func TestLogcheckShowsWhatAnAdministratorShouldSee(t *testing.T) {
	s := holdstore.Submission{QueueID: "4XyZ0b1c", MessageID: "<1@corp.test>",
		Sender:     holdstore.Path{Address: "a b@corp.test"},
		Recipients: []holdstore.Path{{Address: "b@x.test"}}}
	h := &holdstore.Hold{ID: "7K3MPQ2A9BCDE", Submission: s}
	away := errors.New("dial unix /run/redis.sock: connection refused")
	events := map[string]struct {
		seen bool
		log  func(*Log)
	}{
		"Held": {false, func(l *Log) {
			l.Held(s, holdstore.Committed{ID: h.ID, Due: time.Now()}, holdstore.Terms{Rule: "the default"}, 1234)
			l.Held(s, holdstore.Committed{ID: h.ID, Due: time.Now(), Found: true},
				holdstore.Terms{Rule: "default", Replaces: []string{"7K3MPQ2A9BCDF", "7K3MPQ2A9BCDG"}}, 1234)
		}},
		"Skipped": {false, func(l *Log) { l.Skipped(holdstore.Submission{}, policy.Reason{Text: "inbound"}) }},
		"Passed": {false,
			func(l *Log) { l.Passed(holdstore.Submission{}, policy.Reason{Text: "larger than hold.max_size"}) }},
		"Unheld":    {true, func(l *Log) { l.Unheld(s, away) }},
		"Deferred":  {true, func(l *Log) { l.Deferred(s, away) }},
		"Commanded": {false, func(l *Log) { l.Commanded(s, "recall address", "recalled", "") }},
		"Judged": {false, func(l *Log) {
			l.Judged(s, "outlook", "far.test", policy.InboundVerdict{Result: "fail", Reason: "not aligned"})
		}},
		"Acted": {false, func(l *Log) {
			l.Acted(h, "recall", holdstore.Actor{By: "root (uid 0)", From: "gw recallctl", Reason: "wrong list"})
			l.Acted(h, "recall", holdstore.Actor{By: "root (uid 0)", From: "gw recallctl"}, "b@x.test", "c@x.test")
			l.Acted(nil, "pause", holdstore.Actor{By: "root (uid 0)", From: "gw recallctl"})
		}},
		"Asked":     {false, func(l *Log) { l.Asked(h, "far.test", "1") }},
		"Retracted": {false, func(l *Log) { l.Retracted("<1@far.test>", "b@corp.test", "1", "retracted", "") }},
		"Reported":  {false, func(l *Log) { l.Reported(h) }},
		"Released": {false, func(l *Log) {
			l.Released(h, 1, "250 2.0.0 Ok: queued as 4XyZ", 1500*time.Microsecond)
			l.Released(h, 1, "250 2.0.0 Ok: queued as 4XyZ", -time.Hour)
		}},
		"Retried": {true, func(l *Log) { l.Retried(h, "connection refused", time.Minute) }},
		"Failed":  {false, func(l *Log) { l.Failed(h, "b@x.test", "550 5.1.1 unknown") }},
		"Bounced": {false, func(l *Log) { l.Bounced(h, "a@corp.test", "") }},
		"Started": {true,
			func(l *Log) { l.Started("1.0", "/etc/recall-milter/recall-milter.toml", "listen=inet:8890@127.0.0.1") }},
		"Reloaded": {true, func(l *Log) { l.Reloaded("/etc/recall-milter/recall-milter.toml", []string{"redis.db"}) }},
		"ReloadRefused": {true,
			func(l *Log) { l.ReloadRefused("/etc/x.toml", []string{"a", "b"}) }},
		"ListRead": {false, func(l *Log) { l.ListRead("vips.txt", 12) }},
		"Stopping": {true, func(l *Log) { l.Stopping("terminated") }},
		"Dies":     {true, func(l *Log) { l.Dies(away) }},
		"Ended":    {true, func(l *Log) { l.Ended() }},
		"Panicked": {true, func(l *Log) { l.Panicked("a milter session", "index out of range", []byte("goroutine 1\n")) }},
		"Damaged": {true,
			func(l *Log) { l.Damaged("hold 7K3MPQ2A9BCDE is parked: its record is damaged: due is no number") }},
		"Recovered": {true, func(l *Log) { l.Recovered("the store answers again", time.Minute) }},
		"Trouble":   {true, func(l *Log) { l.Trouble("nothing is released until the store answers again", away) }},
	}
	for n := range reflect.TypeFor[*Log]().NumMethod() {
		name := reflect.TypeFor[*Log]().Method(n).Name
		if _, ok := events[name]; !ok {
			t.Errorf("say here and in packaging/logcheck/recall-milter whether an administrator should see the lines of %s",
				name)
		}
	}
	rules, err := os.ReadFile("../../packaging/logcheck/recall-milter")
	if err != nil {
		t.Fatal(err)
	}
	for name, e := range events {
		for _, line := range written(e.log) {
			for _, program := range writersOf(name) {
				if got := shown(t, strings.TrimSpace(string(rules)), program, line); got != e.seen {
					t.Errorf("%s of %s: shown %v, want %v: %s", name, program, got, e.seen, line)
				}
			}
		}
	}
}

// writersOf says which programs write the lines of an event: people act through all of them.
func writersOf(event string) []string {
	switch event {
	case "Acted":
		return []string{"recall-milter", "recall-web", "recallctl"}
	case "ListRead":
		return []string{"recall-milter", "recall-web"}
	}
	return []string{"recall-milter"}
}

// written gives the lines as the daemon writes them.
func written(log func(*Log)) []string {
	var out bytes.Buffer
	encoder := zapcore.NewConsoleEncoder(zapcore.EncoderConfig{MessageKey: "msg", LineEnding: "\n"})
	log(New(zap.New(zapcore.NewCore(encoder, zapcore.AddSync(&out), zap.DebugLevel)), false))
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

// shown says whether the line is left when logcheck has dropped what its rules match, with either form of syslog's
// date.
func shown(t *testing.T, rules, program, line string) bool {
	t.Helper()
	var answers []bool
	for _, date := range []string{"May  1 09:00:00", "2026-05-01T09:00:00.123456+02:00"} {
		grep := exec.Command("grep", "-E", "-v", "-q", "-e", rules)
		grep.Stdin = strings.NewReader(date + " gw.corp.test " + program + "[4711]: " + line + "\n")
		err := grep.Run()
		var code *exec.ExitError
		if err != nil && (!errors.As(err, &code) || code.ExitCode() != 1) {
			t.Fatalf("grep: %v", err)
		}
		answers = append(answers, err == nil)
	}
	if answers[0] != answers[1] {
		t.Errorf("the form of the date makes a difference: %s", line)
	}
	return answers[0]
}
