package mailbox

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// ways are how a server can end badly in the middle of a conversation. %s is the tag of the command.
var ways = map[string]string{
	"silent":      "",
	"half a line": "* OK [",
	// of a FETCH: go-imap itself reads it twice at a time, which the race detector sees
	"half a literal":  "* LIST () \"/\" {100}\r\nx",
	"garbage":         "\x00\xff)(}{\r\n\r\n%s\r\n",
	"no end":          "* LIST () \"/\" {3}\r\nabc\r\n",
	"goes":            "* BYE going\r\n",
	"ranges":          "* ESEARCH (TAG \"%s\") UID ALL 1:4294967295\r\n%s OK done\r\n",
	"endless":         "* ESEARCH (TAG \"%s\") UID ALL 1:*\r\n%s OK done\r\n",
	"numbers":         "* 0 EXPUNGE\r\n" + strings.Repeat("* 1 EXPUNGE\r\n", 300) + "%s OK done\r\n",
	"copies":          "%s OK [COPYUID 1 1:* 1:*] done\r\n",
	"appended":        "%s OK [APPENDUID 0 0:] done\r\n",
	"go on, go on":    "+ go on\r\n+ go on\r\n",
	"another's reply": "T99 OK done\r\n",
}

var raced bool // the race detector looks, also at go-imap

// A job ends enough after its time, on any machine; an actor keeps a connection for long, so that it is not the actor
// who ends it.
const (
	enough = time.Minute
	long   = 10 * time.Minute
)

// Whatever a server does at any step, the job ends soon after its time, and its connection is free again.
func TestNoServerCanKeepAJob(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	for _, step := range []string{"", "CAPABILITY", "LOGIN", "NAMESPACE", "LIST", "EXAMINE", "SEARCH", "FETCH", "SELECT",
		"STORE", "EXPUNGE", "LOGOUT", "APPEND", "CREATE", "SUBSCRIBE", "MOVE"} {
		wg.Go(func() {
			for way, answer := range ways {
				if raced && step == "EXPUNGE" && way == "numbers" {
					// go-imap (v2.0.0-beta.8, the newest) closes a channel while its reader writes to it, which
					// recovers from that
					continue
				}
				ends(t, step, way, answer)
			}
		})
	}
	wg.Wait()
}

// ends wants a job to end soon when a server answers so at a step, and the job's time ends then.
func ends(t *testing.T, step, way, answer string) {
	ctx, cancel := context.WithTimeout(context.Background(), long)
	defer cancel()
	var reached time.Time
	play := roomy()
	b := actor(t, func(command, tag string) string {
		if command != step {
			return play(command, tag)
		}
		if reached.IsZero() {
			reached = time.Now()
			time.AfterFunc(100*time.Millisecond, cancel)
		}
		return strings.ReplaceAll(answer, "%s", tag)
	})
	if policy := map[string]string{"APPEND": "replace", "CREATE": "move:X", "SUBSCRIBE": "move:X",
		"MOVE": "move:X"}[step]; policy != "" {
		b.p.Unread = policy
	}
	r, err := b.Retract(ctx, target(id), func(Result) error { return nil })
	if took := time.Since(reached); took > enough || len(b.slots) > 0 { // reached is zero when the step never came
		t.Errorf("%s, %s: %v, %d connections in use, %+v, %v", step, way, took, len(b.slots), r, err)
	}
}

// roomy is polite, knows folders that must be made, and takes marks.
func roomy() func(command, tag string) string {
	listed, marked := 0, false
	return func(command, tag string) string {
		marked = marked || command == "STORE"
		if command == "LIST" {
			listed++
		}
		switch {
		case command == "LIST" && listed > 1, command == "SEARCH" && marked: // no folder of the policy, no notice
			return tag + " OK done\r\n"
		case command == "CAPABILITY":
			return "* CAPABILITY IMAP4rev1 UIDPLUS CONDSTORE MOVE NAMESPACE\r\n" + tag + " OK done\r\n"
		case command == "": // says what it can when it is asked, not before
			return "* OK hello\r\n"
		case command == "LOGIN":
			return tag + " OK in\r\n"
		case command == "NAMESPACE":
			return fmt.Sprintf("* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n%s OK done\r\n", tag)
		case command == "APPEND":
			return "+ go on\r\n"
		case command == "FETCH" && marked:
			return "* 1 FETCH (UID 7 MODSEQ (6) FLAGS (\\Deleted))\r\n" + tag + " OK done\r\n"
		}
		return strings.ReplaceAll(polite(command, tag), "UIDPLUS", "UIDPLUS MOVE NAMESPACE")
	}
}

// A panic of a command is one of whoever waits for it, who is guarded: it does not end the daemon.
func TestAPanicOfACommandIsOneOfWhoeverWaits(t *testing.T) {
	defer func() {
		if v := recover(); v != "a defect" {
			t.Errorf("recovered %v", v)
		}
	}()
	_ = (&box{ctx: t.Context()}).do(func() error { panic("a defect") })
	t.Error("no panic")
}
