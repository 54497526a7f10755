package postfix

import (
	"maps"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// A milter is taken out of each list by which mail comes in, and asked by the re-injection ports, with its settings.
func TestAMilterIsMovedToTheReinjectionPorts(t *testing.T) {
	t.Parallel()
	const port = "127.0.0.1:10026 inet n - n - - smtpd\n"
	const main, list = "non_smtpd_milters = $smtpd_milters\nsmtpd_milters = ", "inet:127.0.0.1:9999, inet:127.0.0.1:8890\n"
	for name, c := range map[string]struct {
		main, master string
		want         map[string]string
	}{
		"the usual port": {main + list, port +
			"  -o smtpd_milters=\n  -o receive_override_options=no_milters,no_header_body_checks\n", map[string]string{
			"smtpd_milters": "inet:127.0.0.1:8890", "127.0.0.1:10026/inet/smtpd_milters": "inet:127.0.0.1:9999",
			"127.0.0.1:10026/inet/receive_override_options": "no_header_body_checks"}},
		"a port with a signer": {main + list, port +
			"  -o smtpd_milters=inet:127.0.0.1:8891\n  -o receive_override_options=no_header_body_checks\n",
			map[string]string{"smtpd_milters": "inet:127.0.0.1:8890",
				"127.0.0.1:10026/inet/smtpd_milters": "inet:127.0.0.1:8891,inet:127.0.0.1:9999"}},
		"settings of its own": {main + "{ inet:127.0.0.1:9999, default_action=accept }, inet:127.0.0.1:8890\n", port +
			"  -o smtpd_milters=\n",
			map[string]string{"smtpd_milters": "inet:127.0.0.1:8890",
				"127.0.0.1:10026/inet/smtpd_milters": "{inet:127.0.0.1:9999,default_action=accept}"}},
		"services and programs": {"non_smtpd_milters = " + list + "smtpd_milters = inet:127.0.0.1:8890\n",
			"submission inet n - n - - smtpd\n  -o smtpd_milters=inet:127.0.0.1:9999,inet:127.0.0.1:8890\n" + port +
				"  -o smtpd_milters=\n",
			map[string]string{"non_smtpd_milters": "inet:127.0.0.1:8890", "submission/inet/smtpd_milters": "inet:127.0.0.1:8890",
				"127.0.0.1:10026/inet/smtpd_milters": "inet:127.0.0.1:9999"}},
		"a port whose checks a setup moves": {main + list + "header_checks = inline:{a=HOLD}\n", port +
			"  -o smtpd_milters=\n  -o receive_override_options=no_milters,no_header_body_checks\n", map[string]string{
			"smtpd_milters": "inet:127.0.0.1:8890", "127.0.0.1:10026/inet/smtpd_milters": "inet:127.0.0.1:9999",
			"127.0.0.1:10026/inet/receive_override_options": ""}},
		"a service that holds no mail": {main + list,
			"2525 inet n - n - - smtpd\n  -o smtpd_milters=inet:127.0.0.1:9999\n" + port,
			map[string]string{"smtpd_milters": "inet:127.0.0.1:8890",
				"127.0.0.1:10026/inet/smtpd_milters": "inet:127.0.0.1:9999"}},
		"another one": {main + "inet:127.0.0.1:9998, inet:127.0.0.1:8890\n", port, map[string]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := map[string]string{}
			for _, change := range read(t, server.PostfixConf(t, c.main, c.master)).Moved("inet:127.0.0.1:9999", needs) {
				got[change.Name] = change.To
			}
			if !maps.Equal(got, c.want) {
				t.Errorf("changes %q, want %q", got, c.want)
			}
		})
	}
}
