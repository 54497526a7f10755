package config

import (
	"reflect"
	"slices"
	"testing"
)

// others are the keys of a rule that say what becomes of its mail, and not which mail it is for.
var others = []string{"name", "grace", "wish", "delegates", "recall", "language", "reason", "notice",
	"zone", "holidays", "reports"}

// samples have a value of each condition that not all mail meets.
var samples = map[string]string{
	"sender": `["a@corp.test"]`, "recipient": `["a@far.test"]`, "all_recipients": `["*@corp.test"]`, "login": `["a"]`,
	"client": `["192.0.2.0/24"]`, "daemon_name": `["A"]`, "header": `{ A = "b" }`, "subject": `["a"]`,
	"attachment": `["*.zip"]`, "size": `">5MB"`, "recipients": `">3"`, "external_domains": `">1"`,
	"first_contact": `true`, "lookalike": `false`, "time": `["Mon-Fri 08:00-18:00", "Sat"]`,
}

// Whoever adds a key to a rule must say what it asks for, or that it asks for nothing: a condition that is forgotten
// would make a rule match all mail.
func TestEachKeyOfARuleIsAConditionOrAnOutcome(t *testing.T) {
	t.Parallel()
	known := slices.Clone(others)
	for _, c := range conditions {
		known = append(known, c.key)
		if samples[c.key] == "" {
			t.Errorf("no sample of %s", c.key)
		}
	}
	typ := reflect.TypeFor[Rule]()
	for i := range typ.NumField() {
		if key := typ.Field(i).Tag.Get("toml"); !slices.Contains(known, key) {
			t.Errorf("%s is neither in conditions nor among the other keys", key)
		}
	}
	if len(known) != typ.NumField() {
		t.Errorf("%d keys are known, a rule has %d", len(known), typ.NumField())
	}
}

// Each condition reaches the policy, is described, narrows its rule, and covers itself and nothing else.
func TestEachConditionCounts(t *testing.T) {
	t.Parallel()
	rules := map[string]*Rule{}
	for key, value := range samples {
		c, err := Parse("x.toml", []byte("[outbound]\nlocal_domains = [\"corp.test\"]\n"+rule(key+" = "+value)))
		if err != nil || len(c.Doubts) > 0 {
			t.Fatalf("%s: %v %v", key, err, c)
		}
		r := &c.Hold.Rules[0]
		rules[key] = r
		if all, err := r.Conditions(c); err != nil || len(all) != 1 {
			t.Errorf("%s: %d conditions, %v", key, len(all), err)
		}
		if r.everything() || r.Describe() == "all mail" {
			t.Errorf("%s: matches all mail: %s", key, r.Describe())
		}
	}
	for key, r := range rules {
		for other, o := range rules {
			if r.covers(o) != (key == other) {
				t.Errorf("%s covers %s: %v", key, other, r.covers(o))
			}
		}
	}
}
