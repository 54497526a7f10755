package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/recall-milter/recall-milter/internal/config"
)

func TestSetupSaysWhatIsHeldAndWhatIsNot(t *testing.T) {
	tests := []struct {
		name, config string
		want         []string
	}{
		{"defaults", "", []string{"held for 2m: all other mail that is outbound (with a login, or from 127.0.0.0/8, " +
			"::1/128, or by the service ORIGINATING)"}},
		{"a network", "[outbound]\nnetworks = [\"10.0.0.0/8\"]\n[hold]\ngrace = \"90m\"",
			[]string{"held for 1h30m: all other mail that is outbound (with a login, or from 10.0.0.0/8, or by the service " +
				"ORIGINATING)"}},
		{"a rule that lets pass",
			"[[hold.rule]]\nname = \"codes\"\nsender = [\"a@*\", \"b@*\", \"c@*\", \"d@*\", \"e@*\", \"f@*\"]\n" +
				"grace = \"0s\"",
			[]string{"not held: what the rule codes matches (sender a@*, b@*, c@*, d@* and 2 more)",
				"held for 2m: all other mail that is outbound (with a login, or from 127.0.0.0/8, ::1/128, or by the service " +
					"ORIGINATING)"}},
		{"rules that hold", "[[hold.rule]]\nname = \"night\"\ntime = \"18:00-08:00\"\n[[hold.rule]]\nname = \"boss\"\n" +
			"login = [\"boss\"]\nheader = { Importance = \"high\" }\ngrace = \"1h\"",
			[]string{"held for 2m: what the rule night matches (time 18:00-08:00)",
				"held for 1h: what the rule boss matches (login boss; header Importance: high)",
				"held for 2m: all other mail that is outbound (with a login, or from 127.0.0.0/8, ::1/128, or by the service " +
					"ORIGINATING)"}},
		{"nothing is outbound", "[outbound]\nauthenticated = false\nnetworks = []\ndaemon_names = []",
			[]string{"not held: all other mail"}},
		{"no grace", "[hold]\ngrace = \"0s\"", []string{"not held: all other mail"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "c.toml")
			if err := os.WriteFile(file, []byte(test.config), 0o600); err != nil {
				t.Fatal(err)
			}
			c, err := config.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			got := heldLines(c)
			if !slices.Equal(got[:len(got)-1], test.want) {
				t.Errorf("got  %q\nwant %q", got[:len(got)-1], test.want)
			}
		})
	}
}
