package config

import (
	"strings"
	"testing"
)

// What is set for mailboxes and does nothing is said; what does something is left alone.
func TestSettingsOfMailboxesThatDoNothingAreNamed(t *testing.T) {
	t.Parallel()
	const table = "[inbound.mailbox]\n"
	server := func(lines string) string {
		return "[[inbound.mailbox.server]]\ndomains = [\"*\"]\naddress = \"127.0.0.1:143\"\ntls = \"none\"\n" +
			"master_user = \"recall\"\npassword_file = \"/dev/null\"\n" + lines
	}
	const none = "[[inbound.mailbox.server]]\ndomains = [\"partner.test\"]\nbackend = \"none\"\n"
	for text, want := range map[string]string{
		"":                                   "",
		table + server(""):                   "",
		table + "notice = \"always\"\n":      "no mailbox can be reached",
		table + "max_age = \"2d\"\n":         "no mailbox can be reached",
		table + server("max_age = \"2d\"\n"): "",
		table + "max_age = \"7d\"\nnotice = \"readers\"\n" + server(""):      "",
		table + server("max_age = \"30d\"\n"):                                "leaves nothing alone: what is older than 168h",
		"record_retention = \"90d\"\n" + table + server("max_age = \"30d\""): "",
		"[inbound]\nremember = \"0s\"\n" + table + server(""):                "claw backs find nothing",
		table + none + "notice = \"always\"\n" + server(""):                  "nobody's mailbox is reached there",
		table + "notice = \"always\"\n" + none + server(""):                  "",
		table + "dry_run = true\n" + server("notice = \"readers\"\n"):        "tells nobody",
		table + "dry_run = true\n" + server(""):                              "",
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
		if wanted := map[bool]int{true: 0, false: 1}[want == ""]; len(said) != wanted ||
			!strings.Contains(strings.Join(said, ""), want) {
			t.Errorf("%s: %q, want %q", text, said, want)
		}
	}
}
