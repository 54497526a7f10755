package config

import (
	"strings"
	"testing"
)

// What -t, the daemon's log and doctor warn of, and what they leave alone.
func TestDoubts(t *testing.T) {
	for text, want := range map[string]string{
		"": "",
		"[outbound]\nauthenticated = false\nnetworks = []\ndaemon_names = []": "nothing is outbound",
		"[hold]\ngrace = \"0s\"": "nothing is held",
		"[hold]\ngrace = \"0s\"\n[[hold.rule]]\nname = \"a\"\nsender = [\"a@*\"]\ngrace = \"1m\"": "",
		rule(`grace = "0s"`): `x.toml:1:8: the rule "r" matches all mail and does not hold it`,
		rule(`grace = "5m"`): `matches all mail: neither hold.grace nor`,
		rule(`sender = ["*"]`, `recipient = ["*@*"]`, `all_recipients = ["a@x", "/.*/"]`, `client = ["::/0", "0.0.0.0/0"]`,
			`time = "00:00-24:00"`): "matches all mail",
		rule(`sender = ["*", "!a@x"]`):       "",
		rule(`login = ["*"]`):                "",
		rule(`time = "Mon-Fri 00:00-24:00"`): "",
		rule(`sender = ["a@x", "!*"]`): `never matches: in sender, what is behind "!" ` +
			`excludes all the others`,
		rule(`recipient = ["a@x", "b@x", "!*@X"]`):      "never matches: in recipient",
		rule(`all_recipients = ["a@x", "*@y", "!*@x"]`): "",
		rule(`delegates = ["a"]`, `sender = ["a@x"]`):   "",
		rule(`sender = ["corp.test"]`):                  "is compared with whole addresses",
		rule(`recipient = ["<a@corp.test>"]`):           "is compared with whole addresses",
		rule(`sender = ["root"]`):                       "",
		rule(`sender = ["/corp.test/"]`):                "",
		rule(`size = ">60MB"`):                          "larger than hold.max_size",
		rule(`external_domains = ">3"`):                 "never matches: external_domains needs outbound.local_domains",
		rule(`recipients = ">3"`) +
			next(`recipients = ">3"
subject = ["x"]`): "the rule \"s\" never matches",
		rule(`recipients = ">3"`) +
			next(`recipients = ">4"`): "the rule \"s\" never matches",
		rule(`recipients = ">4"`) +
			next(`recipients = ">3"`): "",
		rule(`recipients = "<4"`) +
			next(`recipients = "<3"`): "never matches",
		rule(`size = ">1MB"`) +
			next(`size = ">2MB"`): "never matches",
		rule(`size = ">1MB"`) +
			next(`size = "<2MB"`): "",
		rule(`recipients = ">0"`): "matches all mail",
		rule(`recipients = "<1"`): "never matches: every message has a recipient",
		rule(`sender = ["*@corp.test"]`) +
			next(`sender = ["a@corp.test"]`): "never matches",
		rule(`sender = ["*@corp.test", "!a@corp.test"]`) +
			next(`sender = ["a@corp.test"]`): "",
		rule(`sender = ["a@corp.test"]`) +
			next(`sender = ["*@corp.test"]`): "",
		rule(`attachment = ["*.xlsx", "*.zip"]`) +
			next(`attachment = ["*.zip"]`): "never matches",
		rule(`attachment = ["*"]`):            "",
		rule(`attachment = ["*.xlsx", "!*"]`): "never matches: in attachment",
		rule(`size = ">5MB"`):                 "",
		rule(`client = ["192.0.2.0/24"]`):     "",
		"[outbound]\nauthenticated = false\ndaemon_names = []\n" +
			rule(`client = ["192.0.2.0/24"]`): "mail of no such client is outbound",
		"[outbound]\nauthenticated = false\ndaemon_names = []\n" + rule(`client = ["127.0.0.1/32"]`): "",
		rule(`sender = ["a@x"]`) +
			next(`sender = ["a@x"]
size = ">1MB"`): `the rule "s" never matches: the rule "r" before it`,
		rule(`sender = ["a@x"]`, `size = ">1MB"`) +
			next(`sender = ["a@x"]`): "",
		rule(`header = { Subject = "x" }`) +
			next(`header = { subject = "x" }
sender = ["a@x"]`): `the rule "s" never matches`,
		rule(`sender = ["*"]`) +
			next(`sender = ["a@x"]`): "matches all mail|never matches",
		rule(`time = "Mon-Fri"`) + next(`time = ["Mon 08:00-18:00", "Tue,Wed"]`): "the rule \"s\" never matches",
		rule(`time = "Mon-Fri 08:00-18:00"`) + next(`time = "Fri 17:00-19:00"`):  "",
		rule(`time = "Mon-Fri"`, `zone = "UTC"`) + next(`time = "Mon"`):          "",
		rule(`time = "Mon-Fri"`) + next(`time = "Mon"`, `holidays = ["12-24"]`):  "",
		rule(`time = "Mon-Fri 22:00-06:00"`) + next(`time = "Sat 00:00-06:00"`):  "never matches",
		"[hold]\nholidays = [\"12-24\"]\n" + rule(`time = "Fri 22:00-06:00"`) +
			next(`time = "Sat 00:00-06:00"`): "",
		rule(`time = "Holiday 08:00-18:00"`):                                          "for holidays only",
		"[hold]\nholidays = [\"12-24\"]\n" + rule(`time = "Holiday 08:00-18:00"`):     "",
		"[hold]\nholidays = [\"12-24\"]\n" + rule(`time = "Mon-Sun"`):                 "",
		rule(`time = "Mon-Sun"`):                                                      "matches all mail",
		rule(`time = ["06:00-18:00", "18:00-06:00"]`):                                 "matches all mail",
		rule(`time = "08:00-18:00"`, `holidays = ["12-24"]`):                          `of the rule "r" change nothing`,
		rule(`time = "Mon 08:00-18:00"`, `holidays = ["12-24"]`):                      "",
		rule(`time = "08:00-18:00"`, `holidays = []`):                                 "",
		rule(`sender = ["a@x"]`, `grace = "until Mon 08:00"`, `holidays = ["12-24"]`): "",
		rule(`sender = ["a@x"]`, `grace = "until 08:00"`, `holidays = ["12-24"]`):     "change nothing",
		rule(`time = "Mon"`, `holidays = ["2020-12-24", "2021-01-01"]`):               `rule "r" are over`,
		rule(`time = "Mon"`, `holidays = ["2020-12-24", "12-25"]`):                    "",
		"[hold]\nholidays = [\"2020-12-24\"]\n" + rule(`time = "Mon"`):                "hold.holidays are over",
		"[hold]\nholidays = [\"2020-12-24\"]\n[[hold.rule]]\nname = \"r\"\ntime = \"Mon\"\n" +
			next(`time = "Tue"`): "hold.holidays are over",
		// several rules together
		rule(`time = "06:00-18:00"`) + next(`time = "18:00-06:00"`) +
			third(`sender = ["a@x"]`): `the rule "t" never matches: ` +
			"the rules r, s before it take all of its mail together",
		rule(`time = "06:00-18:00"`) + next(`time = "18:00-05:00"`) + third(`sender = ["a@x"]`): "",
		rule(`time = "06:00-18:00"`) + next(`time = "18:00-05:00"`) +
			third(`time = "04:00-04:30"`): `the rule "t" never matches`,
		rule(`time = "Mon-Fri 08:00-12:00"`) + next(`time = "Mon-Fri 12:00-18:00"`) +
			third(`time = "Mon 09:00-15:00"`): "r, s before it",
		rule(`time = "06:00-18:00"`, `sender = ["b@x"]`) + next(`time = "18:00-06:00"`) + third(`sender = ["a@x"]`): "",
		rule(`time = "06:00-18:00"`, `zone = "UTC"`) + next(`time = "18:00-06:00"`) + third(`sender = ["a@x"]`):     "",
		rule(`recipients = ">3"`) + next(`recipients = "<4"`) +
			third(`sender = ["a@x"]`): "never matches",
		rule(`recipients = ">3"`) + next(`recipients = "<3"`) + third(`sender = ["a@x"]`): "",
		rule(`recipients = ">3"`) + next(`recipients = ">4"`) +
			third(`sender = ["a@x"]`): `"s" never`,
		rule(`size = ">1MB"`) + next(`size = "<2MB"`) +
			third(`sender = ["a@x"]`): "never matches",
		rule(`size = ">2MB"`) + next(`size = "<2MB"`) + third(`sender = ["a@x"]`):               "",
		rule(`size = ">1MB"`, `login = ["a"]`) + next(`size = "<2MB"`) + third(`login = ["b"]`): "",
	} {
		c, err := Parse("x.toml", []byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var said []string
		for _, d := range c.Doubts {
			said = append(said, d.Error())
		}
		wanted := strings.Split(want, "|")
		if want == "" {
			wanted = nil
		}
		if len(said) != len(wanted) {
			t.Errorf("%s: %q, want %q", text, said, wanted)
			continue
		}
		for n := range said {
			if !strings.Contains(said[n], wanted[n]) {
				t.Errorf("%s: %q, want %q", text, said[n], wanted[n])
			}
		}
	}
}

// third is a rule behind that of next.
func third(lines ...string) string {
	return "[[hold.rule]]\nname = \"t\"\n" + strings.Join(lines, "\n") + "\n"
}

// next is a rule behind that of rule.
func next(lines ...string) string {
	return "[[hold.rule]]\nname = \"s\"\n" + strings.Join(lines, "\n") + "\n"
}

func rule(lines ...string) string {
	return "[[hold.rule]]\nname = \"r\"\n" + strings.Join(lines, "\n") + "\n"
}
