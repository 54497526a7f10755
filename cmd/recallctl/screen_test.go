package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/doctor"
	"github.com/recall-milter/recall-milter/internal/sanitize"
	"github.com/recall-milter/recall-milter/test/server"
)

func TestTablesFitTheTerminal(t *testing.T) {
	heading := []string{"ID", "SENDER", "SUBJECT"}
	rows := [][]string{{"2222222233333", "a@corp.test", "撤回: 価格表価格表価格表価格表価格表"},
		{"2222222233334", strings.Repeat("b", 50) + "@corp.test", "x"}}
	for _, width := range []int{0, 45, 60, 200} {
		for _, line := range laidOut(heading, rows, width) {
			if w := runewidth.StringWidth(line); width > 0 && w > width {
				t.Errorf("%d columns on a terminal of %d: %s", w, width, line)
			}
			if !strings.HasPrefix(line, "ID ") && !strings.HasPrefix(line, "222222223333") {
				t.Errorf("an ID was cut: %s", line)
			}
		}
	}
	whole := laidOut(heading, rows, 0)
	if !strings.Contains(whole[1], rows[0][2]) || !strings.Contains(whole[2], rows[1][1]) {
		t.Errorf("cut where no terminal is: %q", whole)
	}
	if a, b := strings.Index(whole[0], "SUBJECT"), strings.Index(whole[2], "x"); a != b {
		t.Errorf("columns are not aligned: %q", whole)
	}
}

// A narrow terminal loses columns, and no line is longer than it is wide.
func TestNarrowTerminalsLoseColumns(t *testing.T) {
	heading := []string{"ID", "DUE IN", "SENDER", "RECIPIENTS", "SIZE", "SUBJECT"}
	row := []string{"2222222233333", "1h00m", "somebody@corp.test", "somebody.else@x.test +3", "14MB",
		"The price list of this month"}
	for width, want := range map[int]string{0: "ID DUE IN SENDER RECIPIENTS SIZE SUBJECT",
		200: "ID DUE IN SENDER RECIPIENTS SIZE SUBJECT", 70: "ID DUE IN SENDER RECIPIENTS SUBJECT",
		60: "ID DUE IN SENDER SUBJECT", 45: "ID DUE IN SUBJECT", 22: "ID DUE IN"} {
		lines := laidOut(heading, [][]string{row}, width)
		if got := strings.Join(strings.Fields(lines[0]), " "); !strings.HasPrefix(got, want) {
			t.Errorf("%d: %s", width, got)
		}
		for _, line := range lines {
			if w := runewidth.StringWidth(line); width > 0 && w > width {
				t.Errorf("%d columns on a terminal of %d: %s", w, width, line)
			}
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\x1b[2J\u202e\xff\u00ad\n\r")
	f.Fuzz(func(t *testing.T, s string) {
		got := sanitize.TerminalCell(s)
		if !utf8.ValidString(got) {
			t.Fatalf("%q is no UTF-8", got)
		}
		if again := sanitize.TerminalCell(got); again != got {
			t.Fatalf("%q has more to escape: %q", got, again)
		}
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Fatalf("%q has %q", got, r)
			}
		}
	})
}

func TestMoments(t *testing.T) {
	now := time.Date(2026, 5, 3, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"90m": "2026-05-03 10:30", "5d": "2026-04-28 12:00", "09:15": "2026-05-03 09:15", "2026-05-01": "2026-05-01 00:00",
		"2026-05-01 09:30": "2026-05-01 09:30", "2026-05-01T09:30:00+02:00": "2026-05-01 07:30", "0s": "2026-05-03 12:00",
	} {
		got, err := moment("since", text, now)
		if err != nil || got.UTC().Format("2006-01-02 15:04") != want {
			t.Errorf("%s: %v %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"x", "-5m", "2026-13-01", "25:00", "1e9h"} {
		if got, err := moment("since", text, now); err == nil {
			t.Errorf("%s is read as %v", text, got)
		}
	}
}

func TestExitCodesAreTheContracts(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	alive := file("alive.toml", fmt.Sprintf("[redis]\naddresses = [%q]\n", server.StartRedis(t).Addr))
	locked := file("locked.toml",
		fmt.Sprintf("[redis]\naddresses = [%q]\n", server.StartRedis(t, "--requirepass", "x").Addr))
	dead := file("dead.toml", fmt.Sprintf("[redis]\naddresses = [%q]\n", server.FreeAddr(t)))
	for _, c := range []struct {
		want int
		args []string
	}{
		{0, []string{"-c", alive, "stats"}},
		{0, []string{"--help"}},
		{0, []string{"--version"}},
		{0, []string{"-c", alive, "list"}},
		{exitNothing, []string{"-c", alive, "list", "--sender", "x"}},
		{0, []string{"-h"}},
		{0, []string{"recall", "-h"}},
		{exitNothing, []string{"-c", alive, "recall", "x"}},
		{exitNothing, []string{"-c", alive, "log"}},
		{exitUsage, []string{"-c", alive, "recall"}},
		{exitUsage, []string{"-c", alive, "recal"}},
		{exitUsage, []string{"-c", alive, "list", "--since", "x"}},
		{exitStore, []string{"-c", dead, "list"}},
		{exitNotAllowed, []string{"-c", locked, "list"}},
		{exitConfig, []string{"-c", file("bad.toml", "x = 1"), "list"}},
		{exitConfig, []string{"-c", filepath.Join(dir, "none.toml"), "list"}},
	} {
		var out, words bytes.Buffer
		if got := run(t.Context(), c.args, strings.NewReader(""), &out, &words); got != c.want {
			t.Errorf("%q: exit %d, want %d: %s", c.args, got, c.want, words.String())
		}
		if c.want != 0 && words.Len() == 0 {
			t.Errorf("%q: exit %d without a word", c.args, c.want)
		}
	}
}

func TestSpansAndSizesAreShort(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", 59 * time.Second: "59s", 90 * time.Second: "1m30s",
		61 * time.Minute: "1h01m", 49 * time.Hour: "2d01h"} {
		if got := span(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
	h := &holdstore.Hold{Submission: holdstore.Submission{Recipients: []holdstore.Path{{Address: "a@x"},
		{Address: "b@x"}}}}
	if got := recipients(h); got != "a@x +1" {
		t.Error(got)
	}
}

// The fix is there to be copied: it stays whole, and begins a line of its own where a terminal is narrow.
func TestFindingsFitTheTerminal(t *testing.T) {
	f := doctor.Finding{Check: "postfix.local", Level: doctor.Error,
		Text: "mail of sendmail(1) (cron, web applications) is never held: our milter is not in non_smtpd_milters",
		Fix:  "postconf -e 'non_smtpd_milters = inet:127.0.0.1:8890' && postfix reload"}
	if got := findingLines(f, 0); len(got) != 1 || got[0] != "error    postfix: "+f.Text+" — "+f.Fix {
		t.Errorf("where no terminal is: %q", got)
	}
	for _, width := range []int{60, 80, 100} {
		lines := findingLines(f, width)
		for _, line := range lines {
			if w := runewidth.StringWidth(line); w > width {
				t.Errorf("%d columns on a terminal of %d: %s", w, width, line)
			}
		}
		if all := strings.Join(strings.Fields(strings.Join(lines, " ")), " "); all != "error postfix: "+f.Text+" — "+f.Fix {
			t.Errorf("words are missing: %s", all)
		}
	}
	if got := findingLines(f, 100); !strings.HasPrefix(got[len(got)-1], "         — postconf -e") {
		t.Errorf("the fix does not begin a line: %q", got)
	}
}
