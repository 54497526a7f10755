package postfix

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// undo takes setups back; held: mail is held, and needs the port.
func undo(t *testing.T, dir string, held bool) Undone {
	t.Helper()
	var port *Endpoint
	if held {
		port = &needs.Release
	}
	u, err := Undo(context.Background(), dir, needs.Milter, port)
	if err != nil {
		t.Fatal(err)
	}
	aged(t, dir)
	return u
}

// edit replaces text in a file of Postfix, as an administrator would.
func edit(t *testing.T, dir, name, old, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	was, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(was), old) {
		t.Fatalf("%s has no %q: %v\n%s", name, old, err, was)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(was), old, text, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	server.Aged(t, path)
}

func aged(t *testing.T, dir string) {
	t.Helper()
	for _, name := range files {
		server.Aged(t, filepath.Join(dir, name))
	}
}

func leftovers(t *testing.T, dir string) []string {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, "*recall*"))
	if err != nil {
		t.Fatal(err)
	}
	return left
}

func TestUndoPutsBackEveryByte(t *testing.T) {
	t.Parallel()
	dir := server.PostfixConf(t, "# a comment\nsmtpd_milters=inet:localhost:8891,\n  # the filter\n\n  unix:/rspamd\n", "")
	was := contents(t, dir)
	setup(t, dir)
	if contents(t, dir) == was {
		t.Fatal("nothing was changed")
	}
	if u := undo(t, dir, false); !u.AsBefore || contents(t, dir) != was || len(leftovers(t, dir)) > 0 {
		t.Errorf("%+v, left %v, and:\n%s\nwant\n%s", u, leftovers(t, dir), contents(t, dir), was)
	}
	if u := undo(t, dir, false); !u.Nothing || u.Setups != 0 {
		t.Errorf("a second undo: %+v", u)
	}
}

// Mail that is still held needs the port: the first undo leaves it, the second takes it too.
func TestUndoKeepsThePortWhileMailIsHeld(t *testing.T) {
	t.Parallel()
	dir := server.PostfixConf(t, "", "")
	was := contents(t, dir)
	setup(t, dir)
	for range 2 {
		u := undo(t, dir, true)
		c := read(t, dir)
		if port := c.At(needs.Release); !u.Kept || u.AsBefore || port == nil ||
			port.Get("receive_override_options") != "no_milters,no_header_body_checks" || c.Get("smtpd_milters") != "" {
			t.Fatalf("%+v: %+v", u, port)
		}
	}
	if u := undo(t, dir, false); u.Kept || contents(t, dir) != was {
		t.Errorf("%+v, and:\n%s\nwant\n%s", u, contents(t, dir), was)
	}
}

// Whatever was edited since, and however often setup was applied again: undo takes out our lines, and nothing else.
func TestUndoTakesOutOurLinesAmongEditsOfOthers(t *testing.T) {
	t.Parallel()
	const main = "smtpd_milters=inet:localhost:8891,\n  # the filter\n  unix:/rspamd\nin_flow_delay = 1s # not a comment\n"
	for name, c := range map[string]struct {
		change func(t *testing.T, dir string) // after the setup
		same   func(t *testing.T, dir string) // to what was before; nil: nothing
		stays  string
	}{
		"a line more": {change: func(t *testing.T, dir string) {
			edit(t, dir, "main.cf", "myhostname", "# ours\nrelayhost = [mx.corp.test]\nmyhostname")
			edit(t, dir, "master.cf", "pickup", "smtps inet n - y - - smtpd\n  -o smtpd_tls_wrappermode=yes\npickup")
		}},
		"another milter in the list": {change: func(t *testing.T, dir string) {
			edit(t, dir, "main.cf", "inet:localhost:8891", "inet:localhost:8893, inet:localhost:8891")
		}, same: func(t *testing.T, dir string) {
			edit(t, dir, "main.cf", "smtpd_milters=inet:localhost:8891,\n  # the filter\n  unix:/rspamd\n",
				"smtpd_milters = inet:localhost:8893, inet:localhost:8891, unix:/rspamd\n  # the filter\n")
		}},
		"a milter behind ours, and another setup": {change: func(t *testing.T, dir string) {
			edit(t, dir, "main.cf", "unix:/rspamd, inet:127.0.0.1:8890",
				"unix:/rspamd, inet:127.0.0.1:8890, inet:localhost:8894")
			setup(t, dir)
		}, same: func(t *testing.T, dir string) {
			edit(t, dir, "main.cf", "smtpd_milters=inet:localhost:8891,\n  # the filter\n  unix:/rspamd\n",
				"smtpd_milters = inet:localhost:8891, unix:/rspamd, inet:localhost:8894\n  # the filter\n")
		}},
		"a value of ours": {change: func(t *testing.T, dir string) {
			edit(t, dir, "main.cf", "in_flow_delay = 0", "in_flow_delay = 2s")
		}, same: func(t *testing.T, dir string) {
			edit(t, dir, "main.cf", "in_flow_delay = 1s # not a comment", "in_flow_delay = 2s")
		}, stays: "main.cf: in_flow_delay"},
		"the port of ours": {change: func(t *testing.T, dir string) {
			edit(t, dir, "master.cf", "-o smtpd_milters=\n", "-o smtpd_milters=\n  -o syslog_name=postfix/back\n")
		}, same: func(t *testing.T, dir string) {}},
		"our lines, by hand": {change: func(t *testing.T, dir string) {
			edit(t, dir, "main.cf", "in_flow_delay = 0\n", "")
			edit(t, dir, "main.cf", ", inet:127.0.0.1:8890", "")
		}, same: func(t *testing.T, dir string) {
			edit(t, dir, "main.cf", "in_flow_delay = 1s # not a comment\n", "")
		}, stays: "main.cf: in_flow_delay"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, twin := server.PostfixConf(t, main, ""), server.PostfixConf(t, main, "")
			was := contents(t, dir)
			setup(t, dir)
			c.change(t, dir)
			if c.same == nil {
				c.same = c.change
			}
			c.same(t, twin)
			u := undo(t, dir, false)
			want := strings.ReplaceAll(contents(t, twin), filepath.Dir(twin), filepath.Dir(dir))
			if got := contents(t, dir); got != want || u.AsBefore != (got == was) || len(leftovers(t, dir)) > 0 {
				t.Errorf("%+v, left %v, and\n%s\nwant\n%s", u, leftovers(t, dir), got, want)
			}
			if c.stays != strings.Join(u.Stays, "; ") {
				t.Errorf("stays %q, want %q", u.Stays, c.stays)
			}
		})
	}
}

// Who pasted our lines in place of a setup is told where the milter was, and it is out.
func TestUndoTakesOutAMilterThatWasPasted(t *testing.T) {
	t.Parallel()
	dir := server.PostfixConf(t,
		"smtpd_milters = inet:localhost:8891, inet:localhost:8890\nnon_smtpd_milters = inet:localhost:8890\n", "")
	u := undo(t, dir, false)
	if want := []string{"main.cf: smtpd_milters", "main.cf: non_smtpd_milters"}; !slices.Equal(u.Stripped, want) ||
		u.AsBefore || u.Setups != 0 {
		t.Errorf("%+v", u)
	}
	if c := read(t, dir); c.Get("smtpd_milters") != "inet:localhost:8891" || c.Get("non_smtpd_milters") != "" {
		t.Errorf("%q, %q", c.Get("smtpd_milters"), c.Get("non_smtpd_milters"))
	}
}

// A milter that setup found and moved is out as well: nobody hears "as they were" while it is still asked.
func TestUndoTakesOutAMilterThatWasThereBefore(t *testing.T) {
	t.Parallel()
	dir := server.PostfixConf(t, "smtpd_milters = inet:localhost:8890 inet:localhost:8891\n", "")
	setup(t, dir)
	u := undo(t, dir, false)
	if left, err := Named(context.Background(), dir, needs.Milter); err != nil || len(left) > 0 || u.AsBefore ||
		len(u.Stripped) == 0 {
		t.Errorf("%+v, %v, %v\n%s", u, left, err, contents(t, dir))
	}
}

// The daemon listens elsewhere since the setup: undo still knows what setup wrote.
func TestUndoKnowsTheAddressThatSetupWrote(t *testing.T) {
	t.Parallel()
	dir := server.PostfixConf(t, "", "submission inet n - y - - smtpd\n  -o smtpd_milters=\n")
	was := contents(t, dir)
	setup(t, dir)
	if u, err := Undo(context.Background(), dir, []Endpoint{{"tcp", "127.0.0.1:9999"}}, nil); err != nil || !u.AsBefore ||
		contents(t, dir) != was {
		t.Errorf("%+v, %v:\n%s", u, err, contents(t, dir))
	}
}
