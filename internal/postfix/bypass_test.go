package postfix

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

const bypassMain = "both = inet:localhost:8891, inet:localhost:8890\nsmtpd_milters=inet:localhost:8891,\n  # ours\n " +
	" { inet:127.0.0.1:8890, content_timeout=60s },\n" +
	"  unix:/rspamd\nnon_smtpd_milters = inet:127.0.0.1:8890\n"

const bypassMaster = "submission inet n - y - - smtpd\n  -o syslog_name=postfix/submission\n  -o " +
	"smtpd_milters=inet:localhost:8890,inet:localhost:8891\n" +
	"  -o smtpd_sasl_auth_enable=yes\nsmtps inet n - y - - smtpd\n  -o { smtpd_milters = $both }\n"

func bypass(t *testing.T, dir string) []string {
	t.Helper()
	places, err := Bypass(context.Background(), dir, needs.Milter)
	if err != nil {
		t.Fatal(err)
	}
	aged(t, dir)
	return places
}

func resume(t *testing.T, dir string) []string {
	t.Helper()
	stays, err := Resume(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	aged(t, dir)
	return stays
}

// Signers and filters keep their work: only our milter is out of the lists, wherever it is named, and it comes back
// there.
func TestABypassTakesOutOursOnlyAndResumePutsBackEveryByte(t *testing.T) {
	t.Parallel()
	dir := server.PostfixConf(t, bypassMain, bypassMaster)
	was := contents(t, dir)
	places := bypass(t, dir)
	slices.Sort(places)
	if want := []string{"main.cf: both", "main.cf: non_smtpd_milters", "main.cf: smtpd_milters",
		"master.cf: submission/inet/smtpd_milters"}; !slices.Equal(places, want) {
		t.Errorf("taken out of %q, want %q", places, want)
	}
	c := read(t, dir)
	for _, s := range []struct{ got, want string }{
		{c.Get("smtpd_milters"), "inet:localhost:8891, unix:/rspamd"}, {c.Get("non_smtpd_milters"), ""},
		{c.Find("submission", "inet").Get("smtpd_milters"), "inet:localhost:8891"},
		{c.Find("smtps", "inet").Get("smtpd_milters"), "inet:localhost:8891"},
		{c.Find("submission", "inet").Get("smtpd_sasl_auth_enable"), "yes"},
		{c.Find("submission", "inet").Get("syslog_name"), "postfix/submission"},
	} {
		if s.got != s.want {
			t.Errorf("%q, want %q", s.got, s.want)
		}
	}
	if _, err := Bypass(context.Background(), dir, needs.Milter); !errors.Is(err, ErrNotNamed) {
		t.Errorf("a second bypass: %v", err)
	}
	if _, ok := Bypassed(dir); !ok {
		t.Error("nobody knows of the bypass")
	}
	if stays := resume(t, dir); len(stays) > 0 || contents(t, dir) != was || len(leftovers(t, dir)) > 0 {
		t.Errorf("stays %q, left %v:\n%s\nwant\n%s", stays, leftovers(t, dir), contents(t, dir), was)
	}
}

// The hours of an emergency bring other edits.
func TestResumeWorksWhateverElseWasEdited(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		main   [2]string // replaced in main.cf while it is bypassed
		master [2]string
		want   map[string]string // of the service "", which is main.cf, or another
		stays  string
	}{
		"another line": {main: [2]string{"myhostname", "relayhost = x\nmyhostname"},
			want: map[string]string{"": "inet:localhost:8891, { inet:127.0.0.1:8890, content_timeout=60s }, unix:/rspamd",
				"submission": "inet:localhost:8890,inet:localhost:8891"}},
		"a milter more": {main: [2]string{"unix:/rspamd", "unix:/rspamd, inet:localhost:8892"},
			want: map[string]string{"": "inet:localhost:8891, { inet:127.0.0.1:8890, content_timeout=60s }, unix:/rspamd, " +
				"inet:localhost:8892"}},
		"a milter less": {main: [2]string{"inet:localhost:8891, unix:/rspamd", "unix:/rspamd"},
			want: map[string]string{"": "{ inet:127.0.0.1:8890, content_timeout=60s }, unix:/rspamd"}},
		"the list gone": {main: [2]string{"smtpd_milters = inet:localhost:8891, unix:/rspamd\n", ""},
			want: map[string]string{"": "{ inet:127.0.0.1:8890, content_timeout=60s }"}},
		"put back by hand": {main: [2]string{"unix:/rspamd", "unix:/rspamd, { inet:127.0.0.1:8890, content_timeout=60s }"},
			want: map[string]string{"": "inet:localhost:8891, unix:/rspamd, { inet:127.0.0.1:8890, content_timeout=60s }"}},
		"an option more": {master: [2]string{"-o smtpd_sasl_auth_enable=yes",
			"-o smtpd_sasl_auth_enable=yes\n  -o smtpd_tls_security_level=encrypt"},
			want: map[string]string{"submission": "inet:localhost:8890,inet:localhost:8891"}},
		"a service gone": {master: [2]string{"submission inet n - y - - smtpd\n  -o syslog_name=postfix/submission\n  -o " +
			"smtpd_milters=inet:localhost:8891\n  -o smtpd_sasl_auth_enable=yes\n", ""},
			stays: "master.cf: submission/inet",
			want:  map[string]string{"": "inet:localhost:8891, { inet:127.0.0.1:8890, content_timeout=60s }, unix:/rspamd"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := server.PostfixConf(t, bypassMain, bypassMaster)
			bypass(t, dir)
			for file, e := range map[string][2]string{"main.cf": c.main, "master.cf": c.master} {
				if e[0] != "" {
					edit(t, dir, file, e[0], e[1])
				}
			}
			if stays := resume(t, dir); strings.Join(stays, " ") != c.stays {
				t.Errorf("stays %q", stays)
			}
			now := read(t, dir)
			for service, want := range c.want {
				got := now.Get("smtpd_milters")
				if service != "" {
					got = now.Find(service, "inet").Get("smtpd_milters")
				}
				if got != want {
					t.Errorf("%q has %q, want %q", service, got, want)
				}
			}
		})
	}
}

// Emergencies end in odd orders.
func TestUndoAndApplyAfterABypass(t *testing.T) {
	t.Parallel()
	dir := server.PostfixConf(t, "smtpd_milters=inet:localhost:8891   # not a comment\n", "")
	was := contents(t, dir)
	setup(t, dir)
	held := contents(t, dir)
	bypass(t, dir)
	if resume(t, dir); contents(t, dir) != held {
		t.Errorf("resumed:\n%s\nwant\n%s", contents(t, dir), held)
	}
	bypass(t, dir)
	setup(t, dir)
	if got := read(t, dir).Get("smtpd_milters"); !strings.HasSuffix(got, ", inet:127.0.0.1:8890") {
		t.Errorf("after another setup: %q", got)
	}
	bypass(t, dir)
	if u := undo(t, dir, false); !u.AsBefore || !u.Bypassed || contents(t, dir) != was || len(leftovers(t, dir)) > 0 {
		t.Errorf("%+v, left %v:\n%s\nwant\n%s", u, leftovers(t, dir), contents(t, dir), was)
	}
}

// A configuration that Postfix refuses already is not a reason to leave the milter in it.
func TestABypassWorksInAConfigurationThatPostfixRefuses(t *testing.T) {
	t.Parallel()
	dir := server.PostfixConf(t, bypassMain+"data_directory = /dev/null\n", "")
	bypass(t, dir)
	if got := read(t, dir).Get("non_smtpd_milters"); got != "" {
		t.Errorf("still %q", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "main.cf")); err != nil {
		t.Error(err)
	}
}
