package config

import (
	"slices"
	"testing"
)

// A reload takes what it can, leaves the rest as it runs, and names it.
func TestReloadNamesWhatWaitsForARestart(t *testing.T) {
	parsed := func(text string) *Config {
		c, err := Parse("x.toml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	runs := parsed("[recall]\nsubject_prefixes = [\"Recall:\"]\n[hold]\ngrace = \"1m\"\n")
	next := parsed(`listen = ["inet:9000@127.0.0.1"]
record_retention = "1d"
[redis]
tls = { enabled = true }
[hold]
grace = "5m"
max_size = "1MB"
[[hold.rule]]
name = "a"
sender = ["a@x"]
[outbound]
authenticated = false
[release]
retry = { max = "1h" }
[recall]
addresses = []
subject_prefixes = ["Rückruf:"]
[inbound]
remember = "1d"
authserv_id = "mx.test"
recall = { rate = "1/h" }
mailbox = { dry_run = true }
[seal]
key_file = "/dev/null"
`)
	now, waiting := runs.Reload(next)
	want := []string{"listen", "record_retention", "redis.tls.enabled", "hold.max_size", "release.retry.max",
		"recall.subject_prefixes",
		"inbound.remember", "inbound.mailbox.dry_run"}
	if !slices.Equal(waiting, want) {
		t.Errorf("waiting %v, want %v", waiting, want)
	}
	if now.Hold.Grace != next.Hold.Grace || len(now.Hold.Rules) != 1 || now.Outbound.Authenticated ||
		now.Inbound.AuthservID != "mx.test" ||
		now.Inbound.Recall.Rate.Count != 1 || now.Seal.KeyFile != "/dev/null" {
		t.Errorf("not taken: %+v", now)
	}
	if now.Hold.MaxSize != runs.Hold.MaxSize || now.Listen[0] != runs.Listen[0] || now.Redis.TLS.Enabled ||
		now.Recall.SubjectPrefixes[0] != "Recall:" ||
		now.Inbound.Remember != runs.Inbound.Remember {
		t.Errorf("changed: %+v", now)
	}
	if _, waiting := runs.Reload(parsed("[hold]\ngrace = \"9m\"\n[recall]\nsubject_prefixes = [\"Recall:\"]\naddresses " +
		"= []")); len(waiting) > 0 {
		t.Errorf("waiting %v though nothing else changed", waiting)
	}
}
