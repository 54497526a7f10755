package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestTheEnvironmentWinsOverTheFile(t *testing.T) {
	c, err := parse("c.toml", []byte("[hold]\ngrace = \"1m\"\nmax_grace = \"1h\"\n"),
		[]string{"HOME=/", "RECALL_MILTER_HOLD_GRACE=30s",
			"RECALL_MILTER_REDIS_ADDRESSES=a:1, b:2", "RECALL_MILTER_REDIS_DB=3", "RECALL_MILTER_RECALL_OUTLOOK=false",
			"RECALL_MILTER_RELEASE_RETRY_MAX=1h",
			"RECALL_MILTER_HOLD_HOLIDAYS=12-24, 2026-05-01", "RECALL_MILTER_HOLD_ZONE=Europe/Vienna",
			"RECALL_MILTER_OUTBOUND_NETWORKS=", "RECALL_MILTER_SOCKET_MODE=0600"}, "")
	if err != nil {
		t.Fatal(err)
	}
	if c.Hold.Grace != Duration(30*time.Second) || c.Hold.MaxGrace != Duration(time.Hour) ||
		strings.Join(c.Redis.Addresses, " ") != "a:1 b:2" ||
		c.Redis.DB != 3 || c.Recall.Outlook || c.Release.Retry.Max != Duration(time.Hour) || len(c.Outbound.Networks) != 0 ||
		c.SocketMode != 0o600 || c.Hold.Zone != "Europe/Vienna" ||
		strings.Join(c.Hold.Holidays, " ") != "12-24 2026-05-01" {
		t.Errorf("%+v", c)
	}
	if got := strings.Join(c.Environment, " "); got != "hold.grace hold.holidays hold.zone outbound.networks "+
		"recall.outlook redis.addresses redis.db release.retry.max socket_mode" {
		t.Errorf("set: %s", got)
	}
}

func TestBadVariablesAreNamed(t *testing.T) {
	for variable, want := range map[string]string{
		"RECALL_MILTER_HOLD_GRAZE=1m":               "it sets no key",
		"RECALL_MILTER_HOLD_RULE=x":                 "it sets no key",
		"RECALL_MILTER_HOLD_ZONE=Wien":              `invalid zone "Wien"`,
		"RECALL_MILTER_HOLD_GRACE=soon":             `invalid duration "soon"`,
		"RECALL_MILTER_REDIS_DB=-1":                 "must be a whole number",
		"RECALL_MILTER_RECALL_OUTLOOK=yes":          "must be true or false",
		"RECALL_MILTER_REDIS_ADDRESSES=a:1,nowhere": `invalid address "nowhere"`,
		"RECALL_MILTER_ON_STORE_FAILURE=drop":       "use one of tempfail, deliver",
		"RECALL_MILTER_RELEASE_CONCURRENCY=0":       "must be from 1 to 1000",
	} {
		// The file's own value, which has a place in it, is not the one that is wrong.
		text := "on_store_failure = \"deliver\"\n[redis]\naddresses = [\"c:1\", \"d:1\"]\n[hold]\ngrace = \"1m\"\n"
		_, err := parse("c.toml", []byte(text), []string{variable}, "")
		name, _, _ := strings.Cut(variable, "=")
		if err == nil || !strings.HasPrefix(err.Error(), "environment variable "+name+": ") ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", variable, err)
		}
	}
}

func FuzzEnvironment(f *testing.F) {
	f.Add("REDIS_ADDRESSES", "a:1,b:2", "credential:x")
	f.Add("HOLD_GRACE", "5d", "credential:../..")
	f.Fuzz(func(t *testing.T, name, value, file string) {
		c, err := parse("c.toml", nil, []string{variable + name + "=" + value, "RECALL_MILTER_SECRET_FILE=" + file},
			t.TempDir())
		if err != nil {
			_ = err.Error()
		} else if c == nil {
			t.Error("neither a config nor an error")
		}
	})
}

func TestEveryKeyHasAVariableOfItsOwn(t *testing.T) {
	seen := map[string]string{}
	leaves(reflect.ValueOf(Default()).Elem(), "", func(path string, _ reflect.Value) {
		if other := seen[variableOf(path)]; other != "" {
			t.Errorf("%s is for %s and %s", variableOf(path), other, path)
		}
		seen[variableOf(path)] = path
	})
	if len(seen) < 50 {
		t.Errorf("only %d variables", len(seen))
	}
}

func TestSecretsMayBeCredentials(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "redis"), []byte("x"), 0o400); err != nil {
		t.Fatal(err)
	}
	c, err := parse("c.toml", []byte("secret_file = \"/etc/x\"\n[redis]\npassword_file = \"credential:redis\"\n"), nil,
		folder)
	if err != nil || c.Redis.PasswordFile != filepath.Join(folder, "redis") || c.SecretFile != "/etc/x" {
		t.Fatalf("%v %+v", err, c)
	}
	for value, want := range map[string]string{
		"credential:none":      "no credential none: add LoadCredential=none:/path to the unit",
		"credential:":          "names no credential",
		"credential:../redis":  "names no credential",
		"credential:a/../../b": "names no credential",
	} {
		_, err := parse("c.toml", []byte("[redis]\npassword_file = \""+value+"\"\n"), nil, folder)
		if err == nil || !strings.Contains(err.Error(), want) ||
			!strings.HasPrefix(err.Error(), "c.toml:2:1: redis.password_file") {
			t.Errorf("%s: %v", value, err)
		}
	}
	if _, err := parse("c.toml", nil, []string{"RECALL_MILTER_REDIS_PASSWORD_FILE=credential:none"}, ""); err == nil ||
		!strings.HasPrefix(err.Error(), "environment variable RECALL_MILTER_REDIS_PASSWORD_FILE: ") ||
		!strings.Contains(err.Error(), unitCredentials) {
		t.Error(err)
	}
}
