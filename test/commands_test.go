package test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// command is a command that the manual has an administrator type.
type command struct{ page, line string }

// A code block has commands, files and output. Commands begin with a program.
var (
	blocks  = regexp.MustCompile("(?m)^```[^\n]*\n((?s:.*?))^```|((?:^    .*\n|^\n)+)")
	inText  = regexp.MustCompile("`([^`\n]+(?:\n[^`\n]+)?)`")
	program = regexp.MustCompile(`^(recallctl|recall-milter|recall-milter-store|postconf|postfix|systemctl|journalctl` +
		`|redis-[a-z-]+|curl|jq|apt|dnf|` +
		`rpm|dpkg|usermod|chown|chmod|install|promtool|doveadm|make|printf|sendmail|cp|cd|sed|grep|while|cat) `)
	hereText = regexp.MustCompile(`(?ms)<<'EOF'$.*?^EOF$`)
)

// commandsOf returns the commands of the README or a page, in their order: those of code blocks, and those in sentences
// that are whole, with arguments and without words in capitals.
func commandsOf(t *testing.T, name string) (all []command) {
	t.Helper()
	read, err := os.ReadFile(filepath.Join("..", map[bool]string{true: name, false: "docs/" + name}[name == "README.md"]))
	if err != nil {
		t.Fatal(err)
	}
	add := func(line string) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "$ ")
		line = strings.TrimSpace(regexp.MustCompile(`\s+# .*`).ReplaceAllString(line, ""))
		if program.MatchString(line) && !strings.Contains(line, "----") && !strings.HasPrefix(line, "recallctl: ") {
			all = append(all, command{name, line})
		}
	}
	text := string(read)
	for _, m := range blocks.FindAllStringSubmatch(text, -1) {
		block := regexp.MustCompile(`(?m)^    `).ReplaceAllString(m[1]+m[2], "")
		block = strings.ReplaceAll(hereText.ReplaceAllString(block, ""), "\\\n", " ")
		for line := range strings.Lines(block) {
			add(line)
		}
	}
	for _, m := range inText.FindAllStringSubmatch(blocks.ReplaceAllString(text, "\n"), -1) {
		line := strings.Join(strings.Fields(m[1]), " ")
		whole := regexp.MustCompile(`^\S+ (\S+ )?-|^(systemctl|journalctl|curl) .* `).MatchString(line)
		if whole && !regexp.MustCompile(`\b[A-Z]{2,}\b|\.\.\.|\|`).MatchString(line) && !strings.HasSuffix(line, " -") {
			add(line)
		}
	}
	return all
}

// elsewhere are commands that a test of its own types, or a script of "make packages" on a scratch system.
var elsewhere = []struct{ commands, by string }{
	{`^apt install |^systemctl enable --now recall-milter-store recall-milter$|^printf .*\| sendmail -f you root$`,
		"packaging/scratch/newcomer"},
	{`^recall-milter-store use`, "packaging/scratch/store"},
	{`^systemctl (reload|restart|stop|status|enable|disable|reset-failed)`, "packaging/scratch/manual"},
	{`^recall-milter -t && systemctl`, "packaging/scratch/manual"},
	{`^usermod -a -G recall-milter`, "packaging/scratch/odd-systems"},
	{`^install -d -o recall-milter`, "packaging/scratch/manual"},
	{`^journalctl .*jq|^journalctl -u recall-milter( -|$)`, "packaging/scratch/manual"},
	{`^redis-check-aof|^c[pd] .*appendonlydir`, "packaging/scratch/manual"},
	{`^redis-cli -s \S+ INFO persistence`, "packaging/scratch/manual"},
	{`^recallctl watch`, "TestWatchIsSeenAndQuit"},
	{`^recallctl log --follow`, "TestAPartOfTheStoreIsAway"},
	{`^recallctl policy test`, "TestStories"},
	{`^recallctl --json log --since 1d >>trail|^journalctl -t recall-milter|` +
		`^sed -n 's/\^.* log( |$)|^jq -r .*trail\.jsonl|^recallctl list -q \| grep|^while read`,
		"TestAnOldCopyIsBroughtBackByTheManual"},
	{`^sed -n 's/\.\*.* log \| sort`, "TestTheLogKnowsWhatALostStoreHeld"},
	{`^recallctl (export --all|release --all --yes --via)`, "TestHeldMailIsSentByHandWithoutADaemon"},
	{`^cat >>/etc/postfix/master\.cf|^postconf -P pickup|^postconf -e non_smtpd_milters=$`,
		"TestProgramsGetWhatTheirOptionsAskFor"},
	{`^cp .*/recall_milter`, "TestAMessageIsUndoneCorrectedAndSentInRoundcube"},
	{`^postconf -(e smtpd_milters=inet:127\.0\.0\.1:8890|P 127\.0\.0\.1:10026/)`,
		"TestAHeldMessageArrivesAsIfItHadNeverBeenHeld"},
}

// untyped are commands that no test types, each with the reason.
var untyped = []struct{ commands, because string }{
	{`^systemctl edit`, "opens an editor"},
	{`^make `, "for developers, in the source"},
	{`^(doveadm|dnf|rpm|valkey|redis-cli --latency)`, "programs of others, whose manuals say how"},
	{`^grep .* /var/log/mail\.log`, "an example with its output"},
	{`^sendmail -`, "options of another program, not a command to type"},
}

// Every command of the README and the manual is typed: here, on a gateway, or where elsewhere says. A new one fails
// until it is typed, or has a reason.
func TestTheCommandsOfTheManualAreTyped(t *testing.T) {
	t.Parallel()
	g := startGateway(t, "1h", "non_smtpd_milters = $smtpd_milters")
	http := server.FreeAddr(t)
	g.change("[http]\nlisten = \"\"", "[http]\nlisten = \""+http+"\"")
	folder := t.TempDir()
	secret := filepath.Join(folder, "imap-password")
	g.must(os.WriteFile(secret, []byte("secret\n"), 0o600))
	for _, name := range []string{"mail.log", "mail.log.1"} {
		g.must(os.WriteFile(filepath.Join(folder, name), nil, 0o600))
	}
	g.configure(fmt.Sprintf("[outbound]\nlocal_domains = [\"corp.test\"]\n[inbound.mailbox]\nbackend = \"imap\"\n"+
		"imap = { address = \"127.0.0.1:1\", master_user = \"master\", password_file = %q }\n", secret))
	used, seen := map[string]bool{}, map[string]bool{}
	g.must(os.WriteFile(filepath.Join(folder, "mail.eml"), []byte("Subject: x\n\nbody\n"), 0o600))
	pages, err := filepath.Glob("../docs/*.md")
	g.must(err)
	for _, path := range append(pages, "README.md") {
		for _, c := range commandsOf(t, filepath.Base(path)) {
			if where := notHere(c.line); where != "" {
				used[where] = true
			} else if !seen[c.line] {
				seen[c.line] = true
				g.typesOne(c, folder, http, len(seen))
			}
		}
	}
	if len(seen) < 40 {
		t.Errorf("only %d commands were typed", len(seen))
	}
	knownPlaces(t, used)
}

// notHere is the pattern of elsewhere or untyped that a command matches; "": it is typed on the gateway.
func notHere(line string) string {
	for _, e := range elsewhere {
		if regexp.MustCompile(e.commands).MatchString(line) {
			return e.commands
		}
	}
	for _, e := range untyped {
		if regexp.MustCompile(e.commands).MatchString(line) {
			return e.commands
		}
	}
	return ""
}

// typesOne types a command on the gateway, where a message waits for it. It may find nothing to do, but it must be
// understood, and none of it may be missing.
func (g *gateway) typesOne(c command, folder, http string, n int) {
	g.t.Helper()
	ref := fmt.Sprintf("m%d@corp.test", n)
	g.mustSend(ref)
	line := regexp.MustCompile(`\b(REF|ID|QUEUEID)\b|32VWE3H4VYYPX`).ReplaceAllString(c.line, ref)
	line = regexp.MustCompile(`\bFILE\b`).ReplaceAllString(line, "mail.eml")
	line = regexp.MustCompile(`\b(TEXT|ADDRESS)\b`).ReplaceAllString(line, "b@x.test")
	line = strings.NewReplacer("bob@x.test", "b@x.test", "127.0.0.1:8891", http,
		"/var/log/mail.log", filepath.Join(folder, "mail.log"), "recallctl drain",
		"recallctl drain --yes --timeout 1s").Replace(line)
	out := g.types(folder, line+"\necho exit $?")
	if regexp.MustCompile(`exit (64|69|77|78|126|127)\n`).MatchString(out) {
		g.t.Errorf("%s: %s: %s", c.page, line, out)
	}
}

// knownPlaces looks whether each place has commands of the manual, and exists.
func knownPlaces(t *testing.T, used map[string]bool) {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	more, wrong := filepath.Glob("../cmd/recallctl/*_test.go")
	if err := cmp.Or(err, wrong); err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	for _, f := range slices.Concat(files, more) {
		text, _ := os.ReadFile(f)
		tests.Write(text)
	}
	for _, e := range elsewhere {
		_, err := os.Stat(filepath.Join("..", e.by))
		if err != nil && !strings.Contains(tests.String(), "func "+e.by+"(") {
			t.Errorf("there is no %s, which should type %s", e.by, e.commands)
		}
		if !used[e.commands] {
			t.Errorf("the manual has no command like %s any more", e.commands)
		}
	}
	for _, e := range untyped {
		if !used[e.commands] {
			t.Errorf("the manual has no command like %s any more", e.commands)
		}
	}
}
