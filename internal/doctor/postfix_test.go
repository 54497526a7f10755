package doctor

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gomilter "github.com/emersion/go-milter"

	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/postfix"
	"github.com/recall-milter/recall-milter/test/server"
)

// The lines that setup writes: nothing is found in them.
const (
	healthyMain = "smtpd_milters = inet:127.0.0.1:8890\nnon_smtpd_milters = inet:127.0.0.1:8890\nmilter_default_action " +
		"= tempfail\nin_flow_delay = 0\n"
	healthyPort = "127.0.0.1:10026 inet n - n - - smtpd\n  -o smtpd_milters=\n  -o " +
		"receive_override_options=no_milters,no_header_body_checks\n"
)

// programsPort are the lines of docs/before-the-hold.md for what programs submit.
const programsPort = `pickup unix n - n 60 1 pickup
  -o content_filter=recall-programs:[127.0.0.1]:10029
  -o receive_override_options=no_header_body_checks,no_address_mappings
127.0.0.1:10029 inet n - n - - smtpd
  -o smtpd_sender_restrictions=
`

// checks are the names of the warnings and errors that were found.
func checks(found []Finding) []string {
	all := []string{}
	for _, f := range found {
		if f.Level == Warning || f.Level == Error {
			all = append(all, f.Check)
		}
	}
	return all
}

// gathered runs checks that report.
func gathered(f func(report)) []Finding {
	var found []Finding
	f(func(one Finding) { found = append(found, one) })
	return found
}

// fixed says what each finding must have: words, and a fix.
func fixed(t *testing.T, found []Finding) {
	t.Helper()
	for _, f := range found {
		if f.Level != OK {
			runs(t, f)
		}
		if f.Level != OK && (f.Text == "" || f.Fix == "") {
			t.Errorf("a finding without words or fix: %+v", f)
		}
	}
}

func TestEachFaultInPostfixIsNamed(t *testing.T) {
	t.Parallel()
	submission := "submission inet n - y - - smtpd\n  -o smtpd_sasl_auth_enable=yes\n"
	for name, c := range map[string]struct {
		main, master string // added, and replacing what is healthy
		config       string
		want         string
	}{
		"healthy":                   {"", healthyPort, "", ""},
		"a signer before us":        {"smtpd_milters = inet:localhost:8891, inet:127.0.0.1:8890\n", healthyPort, "", ""},
		"localhost is us":           {"smtpd_milters = inet:localhost:8890\n", healthyPort, "", ""},
		"a submission that asks us": {"", healthyPort + submission, "", ""},
		"a content filter's return": {"", healthyPort + "127.0.0.1:10025 inet n - n - - smtpd\n  -o smtpd_milters=\n", "",
			""},
		"a signer at the port": {"", strings.Replace(healthyPort, "smtpd_milters=\n",
			"smtpd_milters=inet:localhost:8891\n", 1), "", ""},
		"mappings behind a filter": {"receive_override_options = no_address_mappings\n",
			strings.Replace(healthyPort, "no_milters", "no_milters,no_address_mappings", 1), "", ""},
		"checks that only refuse": {"header_checks = regexp:{ {/^Subject: x/ REJECT} }\nsmtpd_sender_restrictions = " +
			"permit_mynetworks, check_sender_access inline:{a@corp.test=HOLD}\n", healthyPort, "", ""},
		"a filter of all": {"content_filter = scan:[127.0.0.1]:10024\n", healthyPort +
			"127.0.0.1:10025 inet n - n - - smtpd\n  -o smtpd_milters=\n  -o content_filter=\n", "", ""},
		"services of the same kind": {"smtpd_milters =\nnon_smtpd_milters = inet:127.0.0.1:8890\n",
			"smtp inet n - y - - smtpd\n  -o smtpd_milters=inet:127.0.0.1:8890\n" + healthyPort, "", ""},
		"a filter behind us outside": {"", healthyPort +
			"192.0.2.1:25 inet n - y - - smtpd\n  -o smtpd_milters=inet:127.0.0.1:8890,inet:localhost:11332\n", "", ""},
		"shutdown": {"milter_default_action = shutdown\n", healthyPort, "", ""},
		"no delay behind us": {"in_flow_delay = 1s\ncleanup_service_name = quick\n", healthyPort +
			"quick unix n - y - 0 cleanup\n  -o in_flow_delay=0\n", "", ""},

		"milter missing": {"smtpd_milters = inet:localhost:8891\n", healthyPort, "", "postfix.milter"},
		"another port":   {"smtpd_milters = inet:127.0.0.1:8899\n", healthyPort, "", "postfix.milter"},
		"submission leaves out": {"", healthyPort + submission + "  -o smtpd_milters=inet:localhost:8891\n", "",
			"postfix.entry"},
		"no_milters": {"", healthyPort + submission + "  -o receive_override_options=no_milters\n", "",
			"postfix.entry"},
		"not last": {"smtpd_milters = inet:127.0.0.1:8890, inet:localhost:11332\n", healthyPort, "",
			"postfix.order"},
		"not last locally": {"non_smtpd_milters = inet:127.0.0.1:8890, inet:localhost:11332\n", healthyPort, "",
			"postfix.order"},
		"not last in one": {"", healthyPort + submission +
			"  -o smtpd_milters=inet:127.0.0.1:8890,inet:localhost:8891\n", "", "postfix.order"},
		"not last for logins": {"", healthyPort + "192.0.2.1:25 inet n - y - - smtpd\n  -o " +
			"smtpd_milters=inet:127.0.0.1:8890,inet:localhost:11332\n  -o smtpd_sasl_auth_enable=yes\n", "", "postfix.order"},
		"sendmail(1)": {"non_smtpd_milters =\n", healthyPort, "", "postfix.local"},
		"accept":      {"milter_default_action = accept\n", healthyPort, "", "postfix.default-action"},
		"accept in braces": {"smtpd_milters = { inet:127.0.0.1:8890, default_action=accept }\n", healthyPort, "",
			"postfix.default-action"},
		"reject":           {"milter_default_action = reject\n", healthyPort, "", "postfix.default-action"},
		"quarantine":       {"milter_default_action = quarantine\n", healthyPort, "", "postfix.default-action"},
		"in_flow_delay":    {"in_flow_delay = 1s\n", healthyPort, "", "postfix.in-flow"},
		"protocol":         {"milter_protocol = 2\n", healthyPort, "", "postfix.protocol"},
		"command time-out": {"milter_command_timeout = 3s\n", healthyPort, "", "postfix.timeout"},
		"content time-out": {"smtpd_milters = { inet:127.0.0.1:8890, content_timeout=5s }\n", healthyPort, "",
			"postfix.timeout"},
		"protocol in braces": {"smtpd_milters = { inet:127.0.0.1:8890, protocol=2 }\n", healthyPort, "",
			"postfix.protocol"},
		"time-out of a service": {"", healthyPort + submission + "  -o milter_command_timeout=3s\n", "", "postfix.timeout"},
		"accept in a service": {"", healthyPort + submission + "  -o milter_default_action=accept\n", "",
			"postfix.default-action"},
		"delay of a service": {"cleanup_service_name = slow\n", healthyPort +
			"slow unix n - y - 0 cleanup\n  -o in_flow_delay=1s\n", "", "postfix.in-flow"},
		"proxy filter": {"smtpd_proxy_filter = inet:127.0.0.1:10024\n", healthyPort + "  -o smtpd_proxy_filter=\n", "",
			"postfix.proxy"},
		"and behind it, ours": {"smtpd_proxy_filter = inet:127.0.0.1:10024\n", healthyPort + "  -o smtpd_proxy_filter=\n" +
			"127.0.0.1:10025 inet n - n - - smtpd\n  -o smtpd_proxy_filter=\n", "", ""},
		"behind it, no milter": {"smtpd_proxy_filter = inet:127.0.0.1:10024\n", healthyPort + "  -o smtpd_proxy_filter=\n" +
			"127.0.0.1:10025 inet n - n - - smtpd\n  -o smtpd_proxy_filter=\n  -o smtpd_milters=\n", "", "postfix.proxy"},
		"milter maps":        {"smtpd_milter_maps = inline:{ 192.0.2.1=DISABLE }\n", healthyPort, "", "postfix.maps"},
		"any size":           {"message_size_limit = 0\n", healthyPort, "", "postfix.size"},
		"larger than held":   {"message_size_limit = 104857600\n", healthyPort, "", "postfix.size"},
		"larger for logins":  {"", healthyPort + submission + "  -o message_size_limit=104857600\n", "", "postfix.size"},
		"larger at the port": {"", healthyPort + "  -o message_size_limit=104857600\n", "", ""},
		"soft bounce":        {"soft_bounce = yes\n", healthyPort, "", "postfix.soft-bounce"},
		"clients not outbound": {"mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128 192.0.2.0/24\n", healthyPort, "",
			"postfix.networks"},
		"logins not outbound":  {"", healthyPort + submission, "[outbound]\nauthenticated = false\n", "postfix.logins"},
		"no port":              {"", "", "", "postfix.port"},
		"another release.smtp": {"", healthyPort, "[release]\nsmtp = \"127.0.0.1:10027\"\n", "postfix.port"},
		"port asks us":         {"", "127.0.0.1:10026 inet n - n - - smtpd\n", "", "postfix.loop"},
		"port without mapping": {"", strings.Replace(healthyPort, "no_milters", "no_milters,no_address_mappings", 1), "",
			"postfix.mapping"},
		"port checks again": {"header_checks = regexp:/etc/postfix/header_checks\n",
			strings.Replace(healthyPort, ",no_header_body_checks", "", 1), "", "postfix.checks postfix.actions"},
		"mappings happen twice": {"receive_override_options = no_address_mappings\n", healthyPort, "", "postfix.mapping"},
		"HOLD in header_checks": {"header_checks = regexp:{ {/^Subject: x/ HOLD} }\n", healthyPort, "", "postfix.actions"},
		"FILTER in body_checks": {"body_checks = regexp:{ {/x/ FILTER scan:} }\n", healthyPort, "", "postfix.actions"},
		"BCC of a milter field": {"milter_header_checks = regexp:{ {/^X-Copy:/ BCC a@corp.test} }\n", healthyPort, "",
			"postfix.actions"},
		"Received taken out": {"header_checks = regexp:{ {/^Received:/ IGNORE} }\n", healthyPort, "", "postfix.actions"},
		"HOLD for a sender": {"smtpd_sender_restrictions = check_sender_access inline:{a@corp.test=HOLD}\n",
			healthyPort + "  -o smtpd_sender_restrictions=\n", "", "postfix.actions"},
		"tables of a server": {"smtpd_recipient_restrictions = check_recipient_access socketmap:unix:/x:y\n",
			healthyPort + "  -o smtpd_recipient_restrictions=\n", "", "postfix.actions"},
		"FILTER for a client": {"smtpd_client_restrictions = check_client_access inline:{192.0.2.1=FILTER}\n",
			healthyPort + "  -o smtpd_client_restrictions=permit_mynetworks,reject\n", "", "postfix.unseen"},
		"a policy server": {"smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:10040, permit_mynetworks\n",
			healthyPort +
				"  -o smtpd_recipient_restrictions=\n", "", "postfix.unseen"},
		"a client table of a server": {"smtpd_client_restrictions = check_client_access socketmap:unix:/x:y\n", healthyPort +
			"  -o smtpd_client_restrictions=permit_mynetworks,reject\n", "", "postfix.unseen"},
		"a filter of the port": {"", healthyPort + "  -o content_filter=scan:[127.0.0.1]:10024\n", "", "postfix.filter"},
		"a filter of one": {"", healthyPort + submission + "  -o content_filter=scan:[127.0.0.1]:10024\n", "",
			"postfix.service"},
		"a cleanup of one": {"", healthyPort + submission +
			"  -o cleanup_service_name=sub\nsub unix n - n - 0 cleanup\n  -o always_bcc=a@corp.test\n", "", "postfix.service"},
		"one's port does not": {"", healthyPort + submission +
			"  -o content_filter=scan:[127.0.0.1]:10024\n  -o milter_macro_daemon_name=SUB\n" +
			strings.Replace(healthyPort, "10026", "10028", 1), "[release]\nsmtp_by_daemon = { SUB = \"127.0.0.1:10028\" }\n",
			"postfix.filter"},
		"one's port is missing": {"", healthyPort + submission +
			"  -o content_filter=scan:[127.0.0.1]:10024\n  -o milter_macro_daemon_name=SUB\n",
			"[release]\nsmtp_by_daemon = { SUB = \"127.0.0.1:10028\" }\n", "postfix.port"},
		"command filter": {"smtpd_command_filter = regexp:{ {/x/ y} }\n", healthyPort, "", "postfix.twice"},
		"way back of a filter": {"content_filter = scan:[127.0.0.1]:10024\n", healthyPort +
			"127.0.0.1:10025 inet n - n - - smtpd\n  -o content_filter=\n", "", "postfix.back"},
		"PROXY protocol":     {"smtpd_upstream_proxy_protocol = haproxy\n", healthyPort, "", "postfix.twice"},
		"port open":          {"", strings.Replace(healthyPort, "127.0.0.1:", "", 1), "", "postfix.open"},
		"the port of others": {"", "", "[release]\nsmtp = \"127.0.0.1:25\"\n", "postfix.shared"},
		"port judges senders": {"smtpd_sender_restrictions = reject_sender_login_mismatch\n", healthyPort, "",
			"postfix.judges"},
		"restrictions outside": {"smtpd_sender_restrictions = permit_mynetworks, reject_sender_login_mismatch\n",
			healthyPort, "", ""},
		"filter to the port":    {"content_filter = smtp:127.0.0.1:10026\n", healthyPort, "", "postfix.filter-loop"},
		"filter in brackets":    {"content_filter = smtp:[127.0.0.1]:10026\n", healthyPort, "", "postfix.filter-loop"},
		"filter by its name":    {"content_filter = scan:[localhost]:10026\n", healthyPort, "", "postfix.filter-loop"},
		"filter elsewhere":      {"content_filter = scan:[127.0.0.1]:10024\n", healthyPort, "", ""},
		"filter to the way in":  {"content_filter = smtp:[127.0.0.1]\n", healthyPort, "", "postfix.filter-loop"},
		"relay to the port":     {"relayhost = [127.0.0.1]:10026\n", healthyPort, "", "postfix.loop"},
		"transport to the port": {"default_transport = smtp:[127.0.0.1]:10026\n", healthyPort, "", "postfix.loop"},
		"relay to the way in":   {"relayhost = [127.0.0.1]:25\n", healthyPort, "", "postfix.loop"},
		"relay elsewhere":       {"relayhost = [relay.corp.test]:10026\n", healthyPort, "", ""},
		"transport in a table": {"transport_maps = inline:{ {x.test = smtp:[127.0.0.1]:10026} }\n", healthyPort, "",
			"postfix.loop"},
		"transport to the way": {"transport_maps = inline:{ {x.test = smtp:[127.0.0.1]} }\n", healthyPort, "",
			"postfix.loop"},
		"transport elsewhere": {"transport_maps = inline:{ {x.test = smtp:[192.0.2.1]} }\n", healthyPort, "", ""},
		"relayhost of a sender": {"sender_dependent_relayhost_maps = inline:{a@corp.test=[localhost]:10026}\n", healthyPort,
			"", "postfix.loop"},
		"tables of tables": {"sender_dependent_default_transport_maps = unionmap:{static:x, " +
			"inline:{a@corp.test=smtp:[127.0.0.1]:10026}}\n",
			healthyPort, "", "postfix.loop"},
		"FILTER to the port": {"header_checks = regexp:{ {/^X-A: x/ FILTER smtp:[127.0.0.1]:10026} }\n", healthyPort, "",
			"postfix.actions postfix.loop"},
		"FILTER for a sender": {"smtpd_sender_restrictions = check_sender_access inline:{ {a@corp.test = FILTER " +
			"smtp:[127.0.0.1]} }\n",
			healthyPort + "  -o smtpd_sender_restrictions=\n", "", "postfix.actions postfix.loop"},
		"a class that holds": {"smtpd_restriction_classes = stopped\nstopped = check_sender_access " +
			"inline:{a@corp.test=HOLD}\nsmtpd_sender_restrictions = stopped\n",
			healthyPort + "  -o smtpd_sender_restrictions=\n", "", "postfix.actions"},
		"a class for clients": {"smtpd_restriction_classes = stopped\nstopped = check_client_access " +
			"inline:{192.0.2.1=HOLD}\nsmtpd_sender_restrictions = stopped\n",
			healthyPort + "  -o smtpd_sender_restrictions=\n", "", "postfix.unseen"},
		"a class in a table": {"smtpd_restriction_classes = stopped\nstopped = check_sender_access " +
			"inline:{a@corp.test=HOLD}\n" +
			"smtpd_sender_restrictions = check_recipient_access inline:{b@x.test=stopped}\n", healthyPort +
			"  -o smtpd_sender_restrictions=\n", "", "postfix.unseen"},
		"a class that refuses": {"smtpd_restriction_classes = stopped\nstopped = reject_unknown_sender_domain\n" +
			"smtpd_sender_restrictions = check_recipient_access inline:{b@x.test=stopped}\n", healthyPort +
			"  -o smtpd_sender_restrictions=\n", "", ""},
		"programs have a port": {"non_smtpd_milters =\n", healthyPort + programsPort, "", ""},
		"and are held twice":   {"", healthyPort + programsPort, "", "postfix.programs"},
		"limits by client": {"smtpd_client_message_rate_limit = 10\nsmtpd_client_event_limit_exceptions = 192.0.2.0/24\n",
			healthyPort, "",
			"postfix.throttled"},
		"few connections": {"smtpd_client_connection_count_limit = 2\nsmtpd_client_event_limit_exceptions =\n",
			healthyPort, "", "postfix.throttled"},
		"limits for others": {"smtpd_client_message_rate_limit = 10\n", healthyPort, "", ""},
		"socket elsewhere": {"smtpd_milters = unix:/run/recall-milter/sock\nnon_smtpd_milters =\n", healthyPort,
			"listen = [\"unix:/run/recall-milter/sock\"]\n", "postfix.chroot postfix.local"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := siteOf(t, c.config)
			s.Postfix = server.PostfixConf(t, withSettings(healthyMain, c.main), c.master)
			look := func() []Finding {
				s.mta, s.noMTA = postfix.Read(context.Background(), s.Postfix)
				return gathered(func(r report) { mtas(context.Background(), s, r) })
			}
			found := look()
			if got := strings.Join(checks(found), " "); got != c.want {
				t.Errorf("found %q, want %q: %+v", got, c.want, found)
			}
			fixed(t, found)
			s.pasted(t, found, look)
		})
	}
}

// A port that leaves out the checks which a setup gave to its cleanup service does not do their actions.
func TestChecksThatAPortLeavesOutAreNamed(t *testing.T) {
	t.Parallel()
	s := siteOf(t, "")
	s.Postfix = server.PostfixConf(t, withSettings(healthyMain, "header_checks = regexp:{ {/^Subject: x/ HOLD} }\n"),
		healthyPort)
	look := func() []Finding {
		s.mta, s.noMTA = postfix.Read(context.Background(), s.Postfix)
		return gathered(func(r report) { mtas(context.Background(), s, r) })
	}
	s.pasted(t, look(), look)
	s.sh(t, "postconf -c "+s.Postfix+
		" -P 127.0.0.1:10026/inet/receive_override_options=no_milters,no_header_body_checks")
	found := look()
	if !slices.Contains(checks(found), "postfix.actions") {
		t.Errorf("found %v", found)
	}
	s.pasted(t, found, look)
}

// What might matter at some sites only is a note, and no warning.
func TestWhatMightMatterIsANote(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ main, master, want string }{
		"what programs ask for": {"", healthyPort, "postfix.programs"},
		"programs have a port":  {"non_smtpd_milters =\n", healthyPort + programsPort, ""},
		"ours behind a proxy": {"smtpd_proxy_filter = inet:127.0.0.1:10024\nnon_smtpd_milters =\n", healthyPort +
			"  -o smtpd_proxy_filter=\n127.0.0.1:10025 inet n - n - - smtpd\n  -o smtpd_proxy_filter=\n" + programsPort,
			"postfix.proxy"},
	} {
		s := siteOf(t, "")
		s.Postfix = server.PostfixConf(t, withSettings(healthyMain, c.main), c.master)
		s.mta, s.noMTA = postfix.Read(context.Background(), s.Postfix)
		found := gathered(func(r report) { mtas(context.Background(), s, r) })
		fixed(t, found)
		var notes []string
		for _, f := range found {
			if f.Level == Note {
				notes = append(notes, f.Check)
			}
		}
		if got := strings.Join(notes, " "); got != c.want {
			t.Errorf("%s: noted %q, want %q: %+v", name, got, c.want, found)
		}
	}
}

// withSettings replaces lines of main.cf.
func withSettings(main, settings string) string {
	kept := slices.DeleteFunc(strings.SplitAfter(main, "\n"), func(line string) bool {
		name, _, _ := strings.Cut(line, "=")
		return line != "" && strings.Contains("\n"+settings, "\n"+name+"=")
	})
	return strings.Join(kept, "") + settings
}

func siteOf(t *testing.T, text string) *Site {
	t.Helper()
	file := filepath.Join(t.TempDir(), "c.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return &Site{Config: c, User: "nobody"}
}

func TestConfigurationThatPostfixCanNotReadIsNamed(t *testing.T) {
	t.Parallel()
	s := siteOf(t, "")
	s.Postfix = server.PostfixConf(t, "", "smtp inet\n")
	s.mta, s.noMTA = postfix.Read(context.Background(), s.Postfix)
	if got := checks(gathered(func(r report) { mtas(context.Background(), s, r) })); len(got) != 1 ||
		got[0] != "postfix.unreadable" {
		t.Errorf("found %v", got)
	}
}

func TestAGatewayWithoutMTAIsNamed(t *testing.T) {
	s := siteOf(t, "")
	s.Postfix, s.Sendmail = "/nonexistent", "/nonexistent.cf"
	s.mta, s.noMTA = postfix.Read(context.Background(), s.Postfix)
	if got := checks(gathered(func(r report) { mtas(context.Background(), s, r) })); len(got) != 1 ||
		got[0] != "mta.unchecked" {
		t.Errorf("found %v", got)
	}
}

func TestASocketThatPostfixMayNotOpenIsNamed(t *testing.T) {
	t.Parallel()
	conf := server.PostfixConf(t, "", healthyPort)
	queue := filepath.Join(filepath.Dir(conf), "spool")
	s := siteOf(t, `listen = ["unix:`+queue+`/recall-milter/sock"]`)
	f, err := os.OpenFile(filepath.Join(conf, "main.cf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString("smtpd_milters = unix:recall-milter/sock\nnon_smtpd_milters = unix:recall-milter/sock\nin_flow_delay " +
		"= 0\n")
	f.Close()
	server.Aged(t, f.Name())
	s.Postfix = conf
	s.mta, s.noMTA = postfix.Read(context.Background(), conf)
	socket := filepath.Join(queue, "recall-milter/sock")
	for mode, want := range map[os.FileMode]int{0o777: 0, 0o700: 1} {
		os.Mkdir(filepath.Dir(socket), 0o755)
		l := listenUnix(t, socket, mode)
		found := checks(gathered(func(r report) { mtas(context.Background(), s, r) }))
		if len(found) != want || want > 0 && found[0] != "postfix.socket" {
			t.Errorf("mode %o: found %v", mode, found)
		}
		l.Close()
	}
}

// What a milter before ours asks for says whether it may change the envelope.
func TestAMilterThatMayChangeEnvelopesIsNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		actions gomilter.OptAction
		want    string
	}{
		"a signer":      {gomilter.OptAddHeader | gomilter.OptChangeHeader, ""},
		"an SRS milter": {gomilter.OptChangeFrom, "change the sender"},
		"a journal":     {gomilter.OptAddRcpt, "add recipients"},
		"a filter with all of it": {gomilter.OptAddHeader | gomilter.OptChangeFrom | gomilter.OptAddRcpt |
			gomilter.OptRemoveRcpt |
			gomilter.OptQuarantine,
			"add recipients, change the sender, remove recipients, put mail into quarantine"},
		"one that asks for all that there is": {0x1ff,
			"add recipients, change the sender, remove recipients, put mail into quarantine"},
		"one that asks for what it is offered": {0x1ff | milterNothing, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := server.StartEditor(t, c.actions, nil)
			s := siteOf(t, "")
			s.Postfix = server.PostfixConf(t, withSettings(healthyMain, "smtpd_milters = inet:"+at+", inet:127.0.0.1:8890\n"),
				healthyPort)
			s.mta, s.noMTA = postfix.Read(context.Background(), s.Postfix)
			found := gathered(func(r report) { mtas(context.Background(), s, r) })
			fixed(t, found)
			found = slices.DeleteFunc(found, func(f Finding) bool { return f.Check == "postfix.programs" })
			if got := strings.Join(checks(found), " "); (got == "postfix.envelope") != (c.want != "") || c.want != "" &&
				!strings.Contains(found[0].Text, c.want) {
				t.Errorf("found %+v, want %q", found, c.want)
			}
		})
	}
}
