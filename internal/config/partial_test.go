package config

import (
	"strings"
	"testing"
)

// What a recall needs is read although other parts of the file are wrong; what could be another store is not guessed.
func TestOnlyWhatIsNeededMustBeRight(t *testing.T) {
	const store = "[redis]\naddresses = [\"192.0.2.1:6379\"]\n"
	for _, c := range []struct {
		name, text string
		fine       bool
		ignored    string
	}{
		{"all is well", store, true, ""},
		{"a value", store + "[hold]\ngrace = \"5x\"\n", true, "hold.grace"},
		{"a value before it", "[hold]\ngrace = \"5x\"\n" + store, true, "hold.grace"},
		{"an unknown key", store + "[hold]\ngraze = \"5m\"\n", true, "hold.graze"},
		{"an unknown table", store + "[holt]\ngrace = \"5m\"\n", true, "holt"},
		{"no TOML", "[hold]\ngrace = 5m\n" + store + "[http]\nlisten = \n", true, "hold.grace http.listen"},
		{"a rule", store + "[[hold.rule]]\nname = \"x\"\ntime = \"x\"\n", true, "hold.rule.time"},
		{"the table is there twice", store + store, false, ""},
		{"its own value", "[redis]\naddresses = [\"nowhere\"]\n", false, ""},
		{"its own key", "[redis]\naddreses = [\"192.0.2.1:6379\"]\n", false, ""},
		{"its own line", "[redis]\naddresses = 192.0.2.1:6379\n", false, ""},
		{"its header", "[redis\naddresses = [\"192.0.2.1:6379\"]\n", false, ""},
		{"its name", "[reddis]\naddresses = [\"192.0.2.1:6379\"]\n", false, ""},
		{"a list without an end before it", "[hold]\ngrace = [ \"x\"\n" + store, false, ""},
		{"a text without an end before it", "[hold]\ngrace = \"\"\"x\n" + store, false, ""},
		{"another needed key", store + "[recall]\nretention = \"x\"\n", false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ignored, err := parseFor("c.toml", []byte(c.text), nil, "", []string{"redis", "recall.retention"})
			if c.fine != (err == nil) {
				t.Fatalf("%v", err)
			}
			if err != nil {
				return
			}
			var keys []string
			for _, p := range ignored {
				keys = append(keys, p.Key)
			}
			if strings.Join(keys, " ") != c.ignored || got.Redis.Addresses[0] != "192.0.2.1:6379" {
				t.Errorf("%v, ignored %q: %v", got.Redis.Addresses, keys, ignored)
			}
		})
	}
	if _, _, err := parseFor("c.toml", []byte("[redis]\n"), []string{"RECALL_MILTER_REDIS_DB=x"}, "",
		[]string{"redis"}); err == nil {
		t.Error("a variable is wrong")
	}
	if c, _, err := parseFor("c.toml", []byte("[hold]\ngrace = 5m\n"+store), []string{"RECALL_MILTER_REDIS_DB=3"}, "",
		[]string{"redis"}); err != nil || c.Redis.DB != 3 {
		t.Errorf("the environment counts: %v, %v", c, err)
	}
}
