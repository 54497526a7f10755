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

var needs = Needs{Milter: []Endpoint{{"tcp", "127.0.0.1:8890"}}, Release: Endpoint{"tcp", "127.0.0.1:10026"}}

func read(t *testing.T, dir string) *Config {
	t.Helper()
	c, err := Read(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func contents(t *testing.T, dir string) string {
	t.Helper()
	var all string
	for _, name := range files {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		all += string(text)
	}
	return all
}

// setup applies what is planned and returns the configuration then.
func setup(t *testing.T, dir string) *Config {
	t.Helper()
	c := read(t, dir)
	changes, err := c.Plan(needs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Setup(context.Background(), changes); err != nil {
		t.Fatal(err)
	}
	aged(t, dir)
	return read(t, dir)
}

func TestSetupKeepsOtherMiltersAndPutsOursLast(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ main, master, name, want string }{
		"none yet": {"", "", "smtpd_milters", "inet:127.0.0.1:8890"},
		"behind others": {"smtpd_milters = inet:localhost:8891, { unix:/rspamd, default_action=accept }\n", "",
			"smtpd_milters", "inet:localhost:8891, { unix:/rspamd, default_action=accept }, inet:127.0.0.1:8890"},
		"moved to the end": {"smtpd_milters = inet:localhost:8890 inet:localhost:8891\n", "", "smtpd_milters",
			"inet:localhost:8891, inet:127.0.0.1:8890"},
		"with its own braces": {"smtpd_milters = { inet:127.0.0.1:8890, content_timeout=60s }, inet:localhost:8891\n", "",
			"smtpd_milters", "inet:localhost:8891, { inet:127.0.0.1:8890, content_timeout=60s }"},
		"names stay": {"signer = inet:localhost:8891\nsmtpd_milters = $signer\n", "", "smtpd_milters",
			"$signer, inet:127.0.0.1:8890"},
		"hidden in a name": {"both = inet:localhost:8890, inet:localhost:8891\nsmtpd_milters = $both\n", "",
			"smtpd_milters", "inet:localhost:8891, inet:127.0.0.1:8890"},
		"submission's own": {"",
			"submission inet n - y - - smtpd\n  -o { smtpd_milters = inet:localhost:8891, { unix:/x, protocol=6 } }\n",
			"submission/inet/smtpd_milters", "inet:localhost:8891,{unix:/x,protocol=6},inet:127.0.0.1:8890"},
		"another service's": {"", "27 inet n - y - - smtpd\n  -o smtpd_milters=inet:localhost:8891\n",
			"27/inet/smtpd_milters", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changes, err := read(t, server.PostfixConf(t, c.main, c.master)).Plan(needs)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, change := range changes {
				if change.Name == c.name {
					got = change.To
				}
			}
			if got != c.want {
				t.Errorf("%s would be %q, want %q", c.name, got, c.want)
			}
		})
	}
}

func TestSetupWritesAllThatAHoldNeedsOnce(t *testing.T) {
	t.Parallel()
	dir := server.PostfixConf(t, "milter_default_action = accept\nmilter_protocol = 2\n",
		"submission inet n - y - - smtpd\n  -o smtpd_milters=inet:localhost:8891\n")
	c := setup(t, dir)
	for name, want := range map[string]string{"non_smtpd_milters": "inet:127.0.0.1:8890",
		"milter_default_action": "tempfail", "milter_protocol": "6", "in_flow_delay": "0"} {
		if got := c.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	port := c.Find("127.0.0.1:10026", "inet")
	if port == nil || port.Get("smtpd_milters") != "" ||
		port.Get("receive_override_options") != "no_milters,no_header_body_checks" || !port.Loopback() {
		t.Errorf("the re-injection port: %+v", port)
	}
	if again, err := c.Plan(needs); err != nil || len(again) != 0 {
		t.Errorf("a second setup wants %v, %v", again, err)
	}
}

func TestSetupAmendsAReinjectionPortThatIsThere(t *testing.T) {
	t.Parallel()
	c := setup(t, server.PostfixConf(t, "",
		"localhost:10026 inet n - n - - smtpd\n  -o receive_override_options=no_address_mappings\n"))
	port := c.Find("localhost:10026", "inet")
	if port.Get("smtpd_milters") != "" || port.Get("receive_override_options") != "no_milters,no_header_body_checks" ||
		c.Find("127.0.0.1:10026", "inet") != nil {
		t.Errorf("the re-injection port: %+v", port)
	}
}

// A change that Postfix refuses leaves no trace.
func TestARefusedSetupLeavesAllAsItWas(t *testing.T) {
	t.Parallel()
	dir := server.PostfixConf(t, "", "")
	was := contents(t, dir)
	c := read(t, dir)
	changes, _ := c.Plan(needs)
	changes = append(changes, Change{"main.cf", "data_directory", "", "/dev/null", "-e", "data_directory=/dev/null"})
	if _, err := c.Setup(context.Background(), changes); err == nil || !strings.Contains(err.Error(), "all is as before") {
		t.Errorf("setup says %v", err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, "*recall*"))
	if contents(t, dir) != was || len(left) > 0 {
		t.Errorf("left %v, and:\n%s", left, contents(t, dir))
	}
}

func TestSetupRefusesASocketThatPostfixCanNotSee(t *testing.T) {
	t.Parallel()
	c := read(t, server.PostfixConf(t, "", ""))
	socket := Needs{Milter: []Endpoint{{"unix", "/run/recall-milter/sock"}}, Release: needs.Release}
	if _, err := c.Plan(socket); err == nil || !strings.Contains(err.Error(), "chrooted") {
		t.Errorf("got %v", err)
	}
	socket.Milter[0].Address = filepath.Join(c.Get("queue_directory"), "recall-milter/sock")
	if changes, err := c.Plan(socket); err != nil || changes[0].To != "unix:recall-milter/sock" {
		t.Errorf("below the queue: %v, %v", changes, err)
	}
}

func TestSetupRefusesToTurnAPortOfOthersIntoTheWayBack(t *testing.T) {
	t.Parallel()
	c := read(t, server.PostfixConf(t, "", "10026 inet n - n - - smtpd\n"))
	for _, address := range []string{"127.0.0.1:25", "127.0.0.1:10026"} {
		if changes, err := c.Plan(Needs{Milter: needs.Milter, Release: Endpoint{"tcp", address}}); err == nil {
			t.Errorf("%s: %v", address, changes)
		}
	}
}

// postfix-example.cf and setup say the same about the re-injection port.
func TestTheExampleHasTheLinesThatSetupWrites(t *testing.T) {
	text, err := os.ReadFile("../../postfix-example.cf")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "#127.0.0.1:10026 inet")
	lines, _, _ := strings.Cut(rest, "\n\n")
	var options []string
	for line := range strings.Lines(lines) {
		if _, option, ok := strings.Cut(strings.TrimSpace(line), "#  -o "); ok {
			options = append(options, option)
		}
	}
	if !slices.Equal(options, portOptions) {
		t.Errorf("the example has\n%s\nsetup writes\n%s", strings.Join(options, "\n"), strings.Join(portOptions, "\n"))
	}
}
