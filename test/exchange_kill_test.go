package test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/retraction"
	"github.com/recall-milter/recall-milter/test/server"
)

// A late recall is a chain of messages between the two daemons and what they talk to. A step is one of them; there
// somebody dies, either before it arrives, or when it has arrived and its answer has not.
type step struct {
	name  string
	tap   string // where it passes
	from  bool   // it comes from the server
	given string // said on the same connection before
	texts string // that it has, with blanks between; HOLD, REQUEST and ID are those of the message that the step is about
	ctl   bool   // recallctl dies, else the daemon
}

// steps are all of them, in order, from recallctl to the report: name, where it passes, its texts, and "reply" when it
// comes from the server, "recallctl" when that dies, or what was said before on the same connection.
var steps = readSteps(`
told too late      | corp redis | asked HOLD                             | recallctl
asked unheard      | corp redis | asked HOLD                             | recallctl
asked              | corp redis | asked HOLD
asking job taken   | corp redis | ask:REQUEST                            | reply
request written    | corp redis | "ru":" recall.REQUEST@
asking job done    | corp redis | ask:REQUEST
request sent       | corp smtp  | <recall.REQUEST@
request settled    | corp redis | queued
request judged     | far redis  | in:u:
order written      | far redis  | retract:corp.test:REQUEST
order taken        | far redis  | retract:corp.test:REQUEST              | reply
plan noted         | far redis  | retract:corp.test:REQUEST "p":{
marked             | far imap   | +FLAGS                                 | given ID
expunged           | far imap   | EXPUNGE                                | given ID
retraction audited | far redis  | retract recall request REQUEST
retraction noted   | far redis  | retract:corp.test:REQUEST "d":{
status written     | far redis  | "ru":" recall.REQUEST.
order done         | far redis  | retract:corp.test:REQUEST 604800000
status sent        | far smtp   | <recall.REQUEST.
answered           | corp redis | answered HOLD
report taken       | corp redis | report:HOLD                            | reply
report written     | corp redis | "ru":" recall.HOLD.
report done        | corp redis | report:HOLD 604800000
report sent        | corp smtp  | <recall.HOLD.
`)

func readSteps(table string) (all []step) {
	for line := range strings.Lines(strings.TrimSpace(table)) {
		column := append(strings.Split(line, "|"), "")
		for n := range column {
			column[n] = strings.TrimSpace(column[n])
		}
		s := step{name: column[0], tap: column[1], texts: column[2], from: column[3] == "reply",
			ctl: column[3] == "recallctl"}
		if given, ok := strings.CutPrefix(column[3], "given "); ok {
			s.given = given
		}
		all = append(all, s)
	}
	return all
}

// death is what happens at a step of one message's recall.
type death struct {
	step
	id, hold, request string
	after             bool // the message arrives, its answer doesn't
	server            bool // Redis or Dovecot dies, else the daemon or recallctl
	waits             int  // connection on which the answer is waited for
	happened          bool
}

func (d *death) text(of string) string {
	return strings.NewReplacer("HOLD", d.hold, "REQUEST", d.request, "ID", d.id).Replace(of)
}

// is says whether a piece is the step; said is all that was said on its connection.
func (d *death) is(from bool, piece, said string) bool {
	for _, text := range strings.Split(d.texts, " ") {
		if !strings.Contains(piece, d.text(text)) {
			return false
		}
	}
	return from == d.from && strings.Contains(said, d.text(d.given))
}

// reaper watches all connections. The test itself kills, and starts again.
type reaper struct {
	mu     sync.Mutex
	said   map[string]string // by connection
	deaths []*death
	ctl    *exec.Cmd // recallctl that recalls
	due    chan *death
	done   chan struct{}
}

// watch is a watch of one tap. Whatever has killed somebody does not arrive.
func (r *reaper) watch(tap string) server.Watch {
	return func(conn int, toServer bool, piece []byte) bool {
		d := r.meets(tap, conn, !toServer, string(piece))
		if d == nil {
			return true
		}
		select {
		case r.due <- d:
			<-r.done
		case <-time.After(time.Minute): // the test has given up
		}
		return false
	}
}

// meets returns the death that a piece brings; nil: none.
func (r *reaper) meets(tap string, conn int, from bool, piece string) *death {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := fmt.Sprint(tap, conn)
	if tap == "far imap" {
		r.said[key] += piece
	}
	for _, d := range r.deaths {
		switch {
		case d.happened || d.tap != tap:
		case d.waits == conn && from, d.waits == 0 && !d.after && d.is(from, piece, r.said[key]):
			d.happened = true
			return d
		case d.waits == 0 && d.is(from, piece, r.said[key]):
			d.waits = conn
		}
	}
	return nil
}

// lost: with who died at d went the answers that others of the same site waited for, so that is their death too.
func (r *reaper) lost(d *death) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d.ctl {
		return
	}
	for _, other := range r.deaths {
		if site, _, _ := strings.Cut(d.tap, " "); strings.HasPrefix(other.tap, site) && other.waits != 0 {
			other.happened = true
		}
	}
}

// open says which deaths are still to come.
func (r *reaper) open() (names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range r.deaths {
		if !d.happened {
			names = append(names, d.name)
		}
	}
	return names
}

// tapped leads what the daemons say through taps.
func (w *world) tapped(r *reaper) {
	t := w.corp.t
	secret := filepath.Join(t.TempDir(), "secret")
	w.corp.must(os.WriteFile(secret, []byte(base64.StdEncoding.EncodeToString([]byte(killSecret))), 0o600))
	w.corp.change("listen = [\"inet", fmt.Sprintf("secret_file = %q\nlisten = [\"inet", secret))
	for tap, at := range map[string]struct {
		o    *organisation
		addr string
	}{"corp redis": {w.corp, w.corp.redis.Addr}, "far redis": {w.far, w.far.redis.Addr},
		"far imap":  {w.far, w.far.boxes.IMAP},
		"corp smtp": {w.corp, w.corp.postfix.Own}, "far smtp": {w.far, w.far.postfix.Own}} {
		p := server.StartProxy(t)
		p.To(at.addr)
		p.Watched(r.watch(tap))
		at.o.change(at.addr, p.Addr)
	}
	for _, o := range []*organisation{w.corp, w.far} {
		o.killDaemon()
		o.startDaemon()
	}
}

const killSecret = "thirty-two bytes for this test!!"

// kills lets somebody die, and live again.
func (w *world) kills(r *reaper, d *death) {
	o := map[string]*organisation{"corp": w.corp, "far": w.far}[strings.Fields(d.tap)[0]]
	switch {
	case d.ctl:
		r.mu.Lock()
		r.ctl.Process.Kill()
		r.mu.Unlock()
	case !d.server:
		o.killDaemon()
		o.startDaemon()
	case d.tap == "far imap":
		o.boxes.Stop()
		o.boxes.Start()
	default:
		o.redis.Kill()
		o.redis.Start()
	}
}

// deaths gives each step a message of its own, which it kills somebody at; turn chooses which of the ways to die.
func (w *world) deaths(turn int) (all []*death) {
	for n, s := range steps {
		if os.Getenv("TORTURE") == "" && rand.IntN(4) > 0 { // each takes seconds; "make torture" has them all
			continue
		}
		d := &death{step: s, id: fmt.Sprintf("%d.%s@corp.test", turn, strings.ReplaceAll(s.name, " ", "."))}
		way := n + turn
		d.after = way%2 == 1 && !s.from
		// by recallctl, and not by the daemon
		d.server = way/2%2 == 1 && !strings.HasSuffix(s.tap, "smtp") && !s.ctl || s.name == "asked"
		all = append(all, d)
		w.corp.message("anna", d.id, "bert@far.test", "carl@far.test")
	}
	for _, r := range []string{"bert@far.test", "carl@far.test"} {
		server.Eventually(w.corp.t, "all is delivered to "+r, func() bool {
			got := w.far.folder(r, "INBOX")
			return !slices.ContainsFunc(all, func(d *death) bool { return !slices.Contains(got, d.id) })
		})
	}
	marker, held := mark.New([]byte(killSecret)), map[string][]string{}
	server.Eventually(w.corp.t, "all is settled", func() bool {
		held = w.corp.released()
		return !slices.ContainsFunc(all, func(d *death) bool { return len(held["<"+d.id+">"]) == 0 })
	})
	for _, d := range all {
		d.hold = held["<"+d.id+">"][0]
		d.request, _ = retraction.RequestID(marker,
			holdstore.Request{Hold: d.hold, Domain: "far.test", Recipients: []int{0, 1}})
	}
	return all
}

// reads sets a flag on all messages of an inbox.
func (o *organisation) reads(user string) {
	o.t.Helper()
	c := o.login(user)
	defer c.Close()
	_, err := c.Select("INBOX", nil).Wait()
	o.must(err)
	o.must(c.Store(imap.SeqSet{imap.SeqRange{Start: 1}},
		&imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagSeen}}, nil).Close())
}

func TestTheOutcomeOfALateRecallSurvivesKillsAtEveryStep(t *testing.T) {
	t.Parallel()
	turns := 1
	if os.Getenv("TORTURE") != "" {
		turns = 4
	}
	w := startWorld(t, true, "[inbound.recall]\nrate = \"1000/h\"")
	r := &reaper{said: map[string]string{}, due: make(chan *death), done: make(chan struct{})}
	w.tapped(r)
	for turn := range turns {
		all := w.deaths(turn)
		w.far.reads("carl@far.test")
		r.mu.Lock()
		r.deaths = all
		r.mu.Unlock()
		w.recallsAll(r, all)
		w.outcomesAreRight(all)
	}
	if got := w.far.folder("bert@far.test", "INBOX"); len(got) > 0 {
		t.Errorf("bert has %q", got)
	}
}

// recallsAll recalls all messages at once, and kills, until all has ended.
func (w *world) recallsAll(r *reaper, all []*death) {
	t := w.corp.t
	t.Helper()
	var work sync.WaitGroup
	defer work.Wait()
	asked := make(chan struct{})
	work.Go(func() { defer close(asked); w.insists(r, all) })
	check := time.NewTicker(500 * time.Millisecond)
	defer check.Stop()
	giveUp := time.After(8 * time.Minute)
	for {
		select {
		case d := <-r.due:
			t.Logf("%s: %s dies (server %v, after %v)", d.name, d.tap, d.server, d.after)
			w.kills(r, d)
			r.lost(d)
			r.done <- struct{}{}
		case <-check.C:
			select {
			case <-asked:
				if len(r.open()) == 0 && w.idle() {
					return
				}
			default:
			}
		case <-giveUp:
			t.Fatalf("not at an end: %q did not happen, idle %v", r.open(), w.idle())
		}
	}
}

// insists recalls until recallctl says that all is asked: it may die meanwhile, and so may Redis.
func (w *world) insists(r *reaper, all []*death) {
	args := []string{"-c", w.corp.conf, "recall", "--yes"}
	for _, d := range all {
		args = append(args, d.id)
	}
	for until := time.Now().Add(5 * time.Minute); time.Now().Before(until); {
		c := exec.Command(filepath.Join(programs, "recallctl"), args...)
		var out bytes.Buffer
		c.Stdout, c.Stderr = &out, &out
		r.mu.Lock()
		r.ctl = c
		err := c.Start()
		r.mu.Unlock()
		if err != nil {
			w.corp.t.Error(err)
			return
		}
		c.Wait()
		if c.ProcessState.ExitCode() == 2 {
			if strings.Contains(out.String(), "could not be asked") {
				w.corp.t.Errorf("recallctl says that it is done:\n%s", out.String())
			}
			return
		}
		w.corp.t.Logf("recallctl: exit %d\n%s", c.ProcessState.ExitCode(), out.String())
		time.Sleep(200 * time.Millisecond)
	}
}

// idle says whether neither gateway has anything left to do.
func (w *world) idle() bool {
	for _, o := range []*organisation{w.corp, w.far} {
		for _, set := range []string{"jobs", "jobs:us", "z:held", "z:releasing"} {
			if o.redis.Do("ZCARD recall:{mh0}:"+set) != ":0\r\n" {
				return false
			}
		}
	}
	return true
}

// released lists the IDs of what was released, by Message-ID; the mails of the gateway itself are among them.
func (o *organisation) released() map[string][]string {
	o.t.Helper()
	all := map[string][]string{}
	out, _ := o.ctl("--json", "list", "--state", "released")
	for line := range strings.Lines(out) {
		var h struct {
			ID        string
			MessageID string `json:"message_id"`
		}
		o.must(json.Unmarshal([]byte(line), &h))
		all[h.MessageID] = append(all[h.MessageID], h.ID)
	}
	return all
}

// begin counts the mails whose Message-IDs begin so.
func begin(all map[string][]string, with string) (n int) {
	for id, holds := range all {
		if strings.HasPrefix(id, with) {
			n += len(holds)
		}
	}
	return n
}

// outcomesAreRight: each recipient's outcome is what happened, and each mail was written once.
func (w *world) outcomesAreRight(all []*death) {
	t := w.corp.t
	t.Helper()
	near, far, carl := w.corp.released(), w.far.released(), strings.Join(w.far.folder("carl@far.test", "INBOX"), " ")
	log, _ := w.far.ctl("log")
	for _, d := range all {
		out, _ := w.corp.ctl("--json", "show", d.id)
		for recipient, want := range map[string]string{"bert@far.test": "retracted", "carl@far.test": "already read"} {
			if !strings.Contains(out, fmt.Sprintf(`{"address":%q,"result":%q`, recipient, want)) {
				t.Errorf("%s: %s is not %s:\n%s", d.name, recipient, want, out)
			}
		}
		written := [3]int{begin(near, "<recall."+d.request+"@"), begin(far, "<recall."+d.request+"."),
			begin(near, "<recall."+d.hold+".")}
		if written != [3]int{1, 1, 1} || strings.Count(carl, d.id) != 1 {
			t.Errorf("%s: requests, statuses, reports %v, want one of each; carl has %q", d.name, written, carl)
		}
		acts := "bert@far.test <" + d.id + ">: "
		if strings.Count(log, acts) == 0 || strings.Count(log, acts) != strings.Count(log, acts+"retracted") {
			t.Errorf("%s: the audit trail of far.test:\n%s", d.name, log)
		}
	}
}
