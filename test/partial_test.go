package test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/server"
)

// desk is an administrator with recallctl at a store of several servers.
type desk struct {
	t       *testing.T
	conf    string
	cluster *server.Cluster
	store   *holdstore.Store
}

// startDesk starts a Cluster with the administrator.
func startDesk(t *testing.T) *desk {
	t.Helper()
	c := server.StartCluster(t, server.Never)
	d := deskAt(t, c.Addrs(), c.Addrs())
	d.cluster = c
	return d
}

// deskAt puts an administrator, who reaches a store by some addresses, to it.
func deskAt(t *testing.T, store, addrs []string) *desk {
	t.Helper()
	d := &desk{t: t, conf: filepath.Join(t.TempDir(), "c.toml")}
	text := fmt.Appendf(nil, "[redis]\naddresses = [\"%s\"]\n", strings.Join(addrs, `","`))
	if err := os.WriteFile(d.conf, text, 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if d.store, err = holdstore.Open(holdstore.Options{Addresses: store, Durability: "strict"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.store.Close() })
	server.Eventually(t, "every shard is begun, as a daemon does at its start",
		func() bool { _, err := d.store.Stats(t.Context()); return err == nil })
	return d
}

// holds holds messages of a sender, and returns their IDs.
func (d *desk) holds(sender string, messages int) []string {
	d.t.Helper()
	const hands = 32
	ids := make([]string, messages)
	var wg sync.WaitGroup
	for hand := range min(hands, messages) {
		wg.Go(func() {
			for n := hand; n < messages; n += hands {
				sub := holdstore.Submission{MessageID: fmt.Sprintf("<m%d@corp.test>", n), Login: "mallory",
					Sender:     holdstore.Path{Address: sender},
					Recipients: []holdstore.Path{{Address: fmt.Sprintf("b%d@x.test", n)}}}
				for ids[n] == "" && d.t.Context().Err() == nil { // a client tries again
					r, err := d.store.Put(sub, []byte("Subject: x\r\n")).Commit(d.t.Context(), holdstore.Terms{Grace: time.Hour})
					if err == nil {
						ids[n] = r.ID
					}
				}
			}
		})
	}
	wg.Wait()
	return ids
}

func (d *desk) command(args ...string) *exec.Cmd {
	return exec.Command(filepath.Join(programs, "recallctl"), append([]string{"-c", d.conf}, args...)...)
}

// does runs recallctl until it ends so and says that: on a machine under load a server that is there may seem away as
// well.
func (d *desk) does(code int, says string, args ...string) (out string) {
	d.t.Helper()
	pattern := regexp.MustCompile("(?s)" + says)
	server.Eventually(d.t, fmt.Sprintf("recallctl %s ends with %d and says %s", strings.Join(args, " "), code, says),
		func() bool {
			var stdout, stderr bytes.Buffer
			c := d.command(args...)
			c.Stdout, c.Stderr = &stdout, &stderr
			c.Run()
			out = stdout.String() + stderr.String()
			got := c.ProcessState.ExitCode()
			ok := got == code && pattern.MatchString(out)
			if !ok {
				d.t.Logf("recallctl %s: exit %d\n%s", strings.Join(args, " "), got, out)
			}
			if got == 0 && code == 69 {
				d.t.Errorf("recallctl %s: exit 0, and a part of the store was not seen:\n%s", strings.Join(args, " "), out)
			}
			return ok
		})
	return out
}

// away takes the server that keeps the first shard away, with its replica, and returns them and what they keep.
func (d *desk) away(take func(*server.Redis)) (gone []*server.Redis, ids []string) {
	d.t.Helper()
	var first *server.Redis
	for _, n := range d.cluster.Masters() {
		if strings.Contains(n.Do("KEYS *{mh0}:*"), "schema") {
			first = n
		}
	}
	for _, m := range regexp.MustCompile(`:h:(\w{13})`).FindAllStringSubmatch(first.Do("KEYS *:h:*"), -1) {
		ids = append(ids, m[1])
	}
	gone = append(gone, first)
	for _, n := range d.cluster.Nodes {
		if n != first && n.FollowsOne(first) {
			gone = append(gone, n)
		}
	}
	for _, n := range gone {
		take(n)
	}
	return gone, ids
}

// follows starts a recallctl that does not end by itself, waits until it has said that, and interrupts it.
func (d *desk) follows(says string, args ...string) {
	d.t.Helper()
	file := filepath.Join(d.t.TempDir(), "said")
	out, err := os.Create(file)
	if err != nil {
		d.t.Fatal(err)
	}
	defer out.Close()
	c := d.command(args...)
	c.Stdout, c.Stderr = out, out
	if err := c.Start(); err != nil {
		d.t.Fatal(err)
	}
	pattern := regexp.MustCompile("(?s)" + says)
	server.Eventually(d.t, fmt.Sprintf("recallctl %s says %s", strings.Join(args, " "), says), func() bool {
		text, _ := os.ReadFile(file)
		return pattern.Match(text)
	})
	c.Process.Signal(os.Interrupt)
	c.Wait()
	if code := c.ProcessState.ExitCode(); code != 130 {
		d.t.Errorf("recallctl %s: exit %d at Ctrl-C", strings.Join(args, " "), code)
	}
}

var recalledLine = regexp.MustCompile(`(?m)^\w{13} +recalled `)

// recalls repeats the recall of all until so many are recalled. Each time it must count what it did, and end so.
func (d *desk) recalls(messages, code int) {
	d.t.Helper()
	total := 0
	server.Eventually(d.t, fmt.Sprintf("%d messages are recalled", messages), func() bool {
		c := d.command("recall", "--sender", "mallory@corp.test", "--yes")
		text, _ := c.CombinedOutput()
		n := len(recalledLine.FindAll(text, -1))
		total += n
		if got := c.ProcessState.ExitCode(); got != code && got != 69 || n > 0 &&
			!strings.Contains(string(text), fmt.Sprintf("\nrecalled %d message", n)) {
			d.t.Errorf("recall: exit %d\n%s", got, text)
		}
		return total >= messages
	})
	if total != messages {
		d.t.Errorf("%d messages were recalled instead of %d", total, messages)
	}
}

// A part of the store is away, be it that its servers are dead or that they hang: every verb does the rest, says in one
// line what it could not see, and ends with 69. When they are back, the same command does what is left.
func TestAPartOfTheStoreIsAway(t *testing.T) {
	t.Parallel()
	for name, way := range map[string]struct{ take, back func(*server.Redis) }{
		"dead": {(*server.Redis).Kill, (*server.Redis).Start}, "hanging": {(*server.Redis).Pause, (*server.Redis).Resume},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startDesk(t)
			all := map[string]string{}
			for n, id := range d.holds("mallory@corp.test", 60) {
				all[id] = fmt.Sprintf("<m%d@corp.test>", n)
			}
			page := d.page()
			gone, unseen := d.away(way.take)
			var seen []string
			for _, id := range slices.Sorted(maps.Keys(all)) {
				if !slices.Contains(unseen, id) {
					seen = append(seen, id)
				}
			}
			page.partly(seen, unseen)
			d.partly(gone[0], seen, unseen, all)
			d.recalls(len(seen), 69)
			for _, n := range gone {
				way.back(n)
			}
			d.wholeAgain(unseen)
		})
	}
}

// wholeAgain finishes what was done to a part.
func (d *desk) wholeAgain(left []string) {
	d.t.Helper()
	d.does(0,
		`^([^\n]*\n){`+fmt.Sprint(len(left)+1)+`}releases are paused since [^\n]*; but a part that was away then `+
			`is not: recallctl -c [^\n]* pause again\n$`, "list")
	d.does(0, "^nothing is released until you type recallctl -c [^\n]* resume; ", "pause")
	d.does(0, `^([^\n]*\n){`+fmt.Sprint(len(left)+1)+`}releases are paused since [^\n]* recallctl\n$`, "list")
	d.does(0, "^releases go on\n$", "resume")
	d.recalls(len(left), 0)
	d.does(0, "nothing is held", "list")
	d.does(0, `^held +0\n.*recalled +60\n`, "stats")
	recalled := map[string]int{}
	for _, m := range regexp.MustCompile(`"verb":"recall","id":"(\w{13})"`).FindAllStringSubmatch(d.does(0, "", "--json",
		"log"), -1) {
		recalled[m[1]]++
	}
	for id, n := range recalled {
		if n != 1 {
			d.t.Errorf("the trail says %d times that %s was recalled", n, id)
		}
	}
	if len(recalled) != 60 {
		d.t.Errorf("the trail tells of %d recalls", len(recalled))
	}
}

// partly tries each verb.
func (d *desk) partly(gone *server.Redis, seen, unseen []string, all map[string]string) {
	d.t.Helper()
	part := regexp.QuoteMeta("part of the store is not reachable: ") + `[^\n]*` + regexp.QuoteMeta(gone.Addr) +
		`[^\n]*; run this again when it is back\n$`
	more := "recallctl: there may be more: " + part
	n := len(seen)
	lines := func(count int, text string) string { return fmt.Sprintf(`^([^\n]*\n){%d}%s`, count, text) }
	d.does(69, lines(n+1, more), "list")
	d.does(69, lines(4, "and there are more: --limit 0 shows all\n"+more), "list", "--limit", "3")
	d.does(69, lines(n, more), "--json", "list")
	d.does(69, fmt.Sprintf(`^held +%d\n.*\n`, n)+more, "stats")
	d.does(0, "held, due in", "show", seen[0])
	d.does(69, "^recallctl: "+unseen[0]+": "+part, "show", unseen[0])
	d.does(69, "^recallctl: "+all[unseen[0]]+": "+part, "show", all[unseen[0]])
	d.does(69, "held, due in.*\n"+more, "show", all[seen[0]])
	d.does(69, "^recallctl: nonsense: "+part, "show", "nonsense")
	d.does(69,
		seen[1]+" .*\n"+unseen[1]+": part of the store [^\n]*\nrecallctl: 1 of 2 REFs could not be looked up: "+part,
		"extend", "--for", "1m", unseen[1], seen[1])
	d.does(69, "\nwould recall 1 message; nothing was changed\nrecallctl: 1 of 2 REFs could not be looked up: "+part,
		"recall", "--dry-run", unseen[1], seen[1])
	d.does(69, fmt.Sprintf("would recall %d messages; nothing was changed\n", n)+more, "recall", "--sender",
		"mallory@corp.test", "--dry-run")
	d.does(64, fmt.Sprintf("%d messages match, and nothing was changed", n), "recall", "--sender", "mallory@corp.test")
	d.does(69, "^recallctl: nothing matched; there may be more: "+part, "recall", "--sender", "nobody@corp.test", "--yes")
	d.does(69, "^all that can be seen fits\n"+more, "fsck")
	d.does(69, fmt.Sprintf("would send %d messages; nothing was changed\n", n)+more, "drain", "--dry-run")
	d.does(69, lines(n, fmt.Sprintf("recallctl: 0 of %d messages sent; %d still wait after [^\n]*; there may be more: ",
		n, n)+part), "drain", "--yes", "--timeout", "1s")
	d.does(69, "^nothing of what can be reached is released until you type [^\n]* resume; [^\n]* held\nrecallctl: "+
		"not all releases are paused: "+part, "pause")
	d.does(69, "\nreleases are paused since [^\n]*\n"+more, "list", "--limit", "3")
	d.does(64, "^recallctl: releases are paused since [^\n]*: first type [^\n]* resume; nothing was changed", "drain",
		"--yes")
	d.does(69, "^releases go on\nrecallctl: not all releases go on: "+part, "resume")
	d.does(69, " drain .* pause .* resume .*\n"+more, "log")
	d.does(69, "^recallctl: "+unseen[2]+": "+part, "log", unseen[2])
	d.follows(`^(\{[^\n]*\n){0,70}there may be more: part of the store`, "--json", "watch")
	d.does(69, "\nrecallctl: not all releases are paused: "+part, "pause")
	d.follows("\nthere may be more: part of the store [^\n]*; it is shown when it is back\n", "log", "--follow")
}
