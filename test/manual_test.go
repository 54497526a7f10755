package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var indented = regexp.MustCompile(`(?m)^(    .*\n|\n)+`)

// typed returns the block of commands of a page that has a text.
func typed(t *testing.T, name, text string) string {
	t.Helper()
	for _, block := range indented.FindAllString(page(t, name), -1) {
		if strings.Contains(block, text) {
			return regexp.MustCompile(`(?m)^ +`).ReplaceAllStringFunc(block, func(s string) string { return s[min(len(s), 4):] })
		}
	}
	t.Fatalf("%s has no commands with %q", name, text)
	return ""
}

// types runs commands of the manual as an administrator of this gateway would, in a folder, and returns what they
// print.
func (g *gateway) types(folder, commands string) string {
	g.t.Helper()
	names := fmt.Sprintf(`
recallctl() {
	case " $* " in *" setup "*|*" doctor "*) set -- "$@" --postfix %[1]s ;; esac
	%[2]s/recallctl -c %[3]s "$@"
}
recall-milter() { %[2]s/recall-milter -c %[3]s -t; }
postconf() { command postconf -c %[1]s "$@"; }
postfix() { command postfix -c %[1]s "$@"; }
journalctl() { cat %[4]s; }
`, folderOf(g.postfix), programs, g.conf, g.log)
	commands = strings.ReplaceAll(commands, "/etc/postfix", folderOf(g.postfix))
	bin := g.t.TempDir() // with the sendmail of this gateway
	g.must(os.WriteFile(filepath.Join(bin, "sendmail"),
		[]byte("#!/bin/sh\nexec "+strings.Join(g.mta.command().Args, " ")+" \"$@\"\n"), 0o755))
	c := exec.Command("bash", "-c", names+commands)
	c.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	c.Dir = folder
	out, err := c.CombinedOutput()
	g.t.Logf("%s\n%s%v", commands, out, err)
	return string(out)
}

// folderOf is where a Postfix has its configuration; of no Postfix it is nowhere.
func folderOf(p *server.Postfix) string {
	if p == nil {
		return "/nonexistent"
	}
	return filepath.Join(p.Dir, "conf")
}

// An old copy of the store is brought back by the steps of docs/backup.md: nothing is sent twice, nothing that was
// recalled is sent, and what waits leaves.
func TestAnOldCopyIsBroughtBackByTheManual(t *testing.T) {
	t.Parallel()
	g, folder := startGateway(t, "1h"), t.TempDir()
	for _, id := range []string{"sent", "back", "stays"} {
		g.mustSend(id + "@corp.test")
	}
	data := filepath.Join(g.redis.Dir, "appendonlydir")
	g.must(exec.Command("cp", "-a", data, folder).Run())
	g.ctl("release", "sent@corp.test")
	g.ctl("recall", "back@corp.test")
	server.Eventually(t, "the copy does not know of it", func() bool { return g.arrived("sent@corp.test") == 1 })
	g.said("release: id=")
	g.types(folder, "recallctl --json log --since 1d >>trail.jsonl")
	g.killDaemon()
	g.redis.Stop()
	g.must(os.RemoveAll(data))
	g.must(exec.Command("cp", "-a", filepath.Join(folder, "appendonlydir"), data).Run())
	g.redis.Start()
	g.types(folder, typed(t, "backup.md", "recallctl pause"))
	g.startDaemon()
	g.types(folder, typed(t, "backup.md", "journalctl"))
	// No syslog runs here: what recallctl did is in the trail only.
	_, recallThem, _ := strings.Cut(typed(t, "backup.md", ">recalled\n"), ">recalled\n")
	g.types(folder, typed(t, "backup.md", "trail.jsonl | sort")+recallThem)
	g.ctl("release", "--all", "--yes")
	g.types(folder, "recallctl resume")
	server.Eventually(t, "what waits leaves", func() bool { return g.arrived("stays@corp.test") == 1 })
	server.Eventually(t, "nothing else waits", g.holdsNothing)
	if g.arrived("sent@corp.test") != 1 || g.arrived("back@corp.test") != 0 {
		t.Errorf("sent %d times, the recalled one %d times", g.arrived("sent@corp.test"), g.arrived("back@corp.test"))
	}
}

func TestTheLogKnowsWhatALostStoreHeld(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "1h")
	g.mustSend("sent@corp.test")
	g.mustSend("lost@corp.test")
	g.ctl("release", "sent@corp.test")
	g.said("release: id=")
	g.redis.Kill()
	out := g.types(t.TempDir(), typed(t, "disaster.md", ">left"))
	if !regexp.MustCompile(`^\w{13} <a@corp\.test> <lost@corp\.test>\n$`).MatchString(out) {
		t.Errorf("%q", out)
	}
}

func TestHeldMailIsSentByHandWithoutADaemon(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "1h")
	for n := range 3 {
		g.mustSend(fmt.Sprintf("m%d@corp.test", n))
	}
	g.killDaemon()
	folder := t.TempDir()
	g.types(folder, strings.ReplaceAll(typed(t, "uninstall.md", "export --all"), "/root/held", folder))
	g.types(folder, typed(t, "uninstall.md", "--via sendmail"))
	for n := range 3 {
		id := fmt.Sprintf("m%d@corp.test", n)
		server.Eventually(t, id+" arrives", func() bool { return g.arrived(id) == 1 })
	}
	if !g.holdsNothing() {
		t.Error("something is still held")
	}
	if got := g.delivery("m0@corp.test"); !strings.HasPrefix(got.Mail, "<a@corp.test>") || len(got.Rcpt) != 1 ||
		!strings.HasPrefix(got.Rcpt[0], "<b@x.test>") {
		t.Errorf("from %s to %q", got.Mail, got.Rcpt)
	}
}

// The manual's index names every page, and every link in the manual leads somewhere.
func TestTheManualIsWhole(t *testing.T) {
	index := page(t, "README.md")
	files, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		if name != "README.md" && !strings.Contains(index, "]("+name+")") {
			t.Errorf("docs/README.md does not name %s", name)
		}
		for _, link := range regexp.MustCompile(`\]\(([a-z-]*(?:\.md)?)(?:#([a-z-]+))?\)|`+"`docs/([a-z-]+\\.md)`").
			FindAllStringSubmatch(page(t, name), -1) {
			to := link[1] + link[3]
			if to == "" {
				to = name
			}
			if _, err := os.Stat(filepath.Join("../docs", to)); err != nil {
				t.Errorf("%s: there is no %s", name, to)
			} else if link[2] != "" && !strings.Contains(headings(page(t, to)), "#"+link[2]+"\n") {
				t.Errorf("%s: %s has no #%s", name, to, link[2])
			}
		}
	}
}

// headings lists the anchors of a page, as GitHub makes them.
func headings(text string) (anchors string) {
	for _, h := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		name := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(h[1]), "")
		anchors += "#" + strings.ReplaceAll(name, " ", "-") + "\n"
	}
	return anchors
}
