package postfix

import (
	"slices"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

const acts = "header_checks = regexp:{ {/^Subject: x/ HOLD} }\nsmtpd_sender_restrictions = check_sender_access " +
	"inline:{a@corp.test=HOLD}\n"

// planned is what a setup would set, by the place.
func planned(t *testing.T, c *Config, n Needs) map[string]string {
	t.Helper()
	changes, err := c.Plan(n)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, change := range changes {
		all[change.Name] = change.To
	}
	return all
}

func TestThePortDoesWhatTheServicesDo(t *testing.T) {
	t.Parallel()
	const submission = "submission inet n - y - - smtpd\n  -o milter_macro_daemon_name=SUB\n"
	byDaemon := needs
	byDaemon.ByDaemon = map[string]Endpoint{"SUB": {"tcp", "127.0.0.1:10028"}}
	const port, second = "127.0.0.1:10026/inet", "127.0.0.1:10028/inet"
	for name, c := range map[string]struct {
		main, master string
		needs        Needs
		place        string
		has, hasNot  string // separated by blanks
	}{
		"nothing": {"", "", needs, port,
			"receive_override_options=no_milters,no_header_body_checks smtpd_command_filter=",
			"content_filter cleanup_service_name"},
		"checks": {acts, "", needs, port, "receive_override_options=no_milters " +
			"cleanup_service_name=recall-cleanup smtpd_sender_restrictions=$recall_sender_restrictions",
			"no_header_body_checks"},
		"checks' cleanup": {acts, "", needs, "recall-cleanup/unix",
			"header_checks=$recall_header_checks body_checks= in_flow_delay=0", ""},
		"no mappings": {"receive_override_options = no_address_mappings\n", "", needs, port,
			"receive_override_options=no_milters,no_address_mappings,no_header_body_checks", ""},
		"a filter of all": {"content_filter = a:b\n", "", needs, port, "", "content_filter"},
		"behind the permits": {"smtpd_sender_restrictions = permit_mynetworks, permit_sasl_authenticated, " +
			"check_sender_access inline:{a@corp.test=HOLD}\n", "", needs, port, "smtpd_sender_restrictions=", "$recall"},
		"only refusals": {"smtpd_sender_restrictions = check_sender_access inline:{a@corp.test=REJECT}\n", "", needs,
			port, "smtpd_sender_restrictions=", "$recall"},
		"a filter of one":   {"", submission + "  -o content_filter=a:b\n", byDaemon, second, "content_filter=a:b", ""},
		"and not of others": {"", submission + "  -o content_filter=a:b\n", byDaemon, port, "", "content_filter"},
		"one without filter": {"content_filter = a:b\n", submission + "  -o content_filter=\n", byDaemon, second,
			"content_filter=", "a:b"},
		"a cleanup of one": {"", submission +
			"  -o cleanup_service_name=sub\nsub unix n - n - 0 cleanup\n  -o always_bcc=a@corp.test\n", byDaemon, second,
			"cleanup_service_name=sub", ""},
		"its checks": {"", submission + "  -o cleanup_service_name=sub\nsub unix n - n - 0 cleanup\n  -o " +
			"always_bcc=a@corp.test\n  -o header_checks=regexp:/x\n", byDaemon,
			"recall-cleanup-sub/unix", "always_bcc=a@corp.test header_checks=$recall_header_checks_sub", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := planned(t, read(t, server.PostfixConf(t, c.main, c.master)), c.needs)[c.place]
			for _, want := range strings.Fields(c.has) {
				if !slices.Contains(strings.Fields(got), want) {
					t.Errorf("%s lacks %s: %s", c.place, want, got)
				}
			}
			for _, not := range strings.Fields(c.hasNot) {
				if strings.Contains(got, not) {
					t.Errorf("%s has %s: %s", c.place, not, got)
				}
			}
		})
	}
}

func TestASetupWithChecksIsWholeAndUndone(t *testing.T) {
	t.Parallel()
	dir := server.PostfixConf(t, acts, "")
	was := contents(t, dir)
	c := setup(t, dir)
	if again := planned(t, c, needs); len(again) != 0 {
		t.Errorf("a second setup wants %v", again)
	}
	if judges := c.At(needs.Release).Judges(); len(judges) > 0 {
		t.Errorf("actions on the queue file are not judgements: %v", judges)
	}
	undo(t, dir, true)
	if kept := read(t, dir).Find("recall-cleanup", "unix"); kept == nil ||
		!strings.Contains(kept.Get("header_checks"), "HOLD") {
		t.Errorf("while mail is held, the checks of the port stay: %+v", kept)
	}
	undo(t, dir, false)
	if contents(t, dir) != was {
		t.Errorf("left:\n%s\nwant\n%s", contents(t, dir), was)
	}
}

func TestAPortOfTheSiteIsAmendedAndKeepsItsOwn(t *testing.T) {
	t.Parallel()
	dir := server.PostfixConf(t, acts+"smtpd_command_filter = regexp:{ {/x/ y} }\n",
		"127.0.0.1:10026 inet n - n - - smtpd\n  -o smtpd_milters=inet:localhost:8891\n"+
			"  -o receive_override_options=no_header_body_checks\n  -o cleanup_service_name=recall-cleanup\n  -o "+
			"smtpd_recipient_limit=70000\nrecall-cleanup unix n - y - 0 cleanup\n  -o message_size_limit=0\n")
	c := setup(t, dir)
	port, cleanup := c.At(needs.Release), c.Find("recall-cleanup", "unix")
	for name, want := range map[string]string{"smtpd_milters": "inet:localhost:8891", "smtpd_recipient_limit": "70000",
		"smtpd_command_filter": "", "cleanup_service_name": "recall-cleanup"} {
		if got := port.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if cleanup.Get("message_size_limit") != "0" || !strings.Contains(cleanup.Get("header_checks"), "HOLD") {
		t.Errorf("its cleanup: %q", cleanup.Get("header_checks"))
	}
	if again := planned(t, c, needs); len(again) != 0 {
		t.Errorf("a second setup wants %v", again)
	}
}
