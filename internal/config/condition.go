package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/recall-milter/recall-milter/policy"
)

// conditions has a row for each key of a [[hold.rule]] that narrows which mail the rule matches. A new condition is a
// field of Rule, a row here, and what it asks in package policy: the checks of a file, the policy, the warnings and
// recallctl all go by these rows.
var conditions = []condition{
	{"sender", patternList{make: policy.IfSender, of: addresses}},
	{"recipient", patternList{make: policy.IfRecipient, of: addresses}},
	{"all_recipients", patternList{make: policy.IfAllRecipients, of: addresses}},
	{"login", patternList{make: policy.IfLogin, of: names}},
	{"client", networkList{}},
	{"daemon_name", patternList{make: policy.IfDaemonName, of: services}},
	{"header", fieldTexts{}},
	{"subject", patternList{make: func(l policy.Patterns) policy.Condition { return policy.IfHeader("Subject", l) },
		of: texts}},
	{"attachment", patternList{make: policy.IfAttachment, of: texts}},
	{"size", byteBound{}},
	{"recipients", numberBound{make: policy.IfRecipients}},
	{"external_domains", numberBound{make: policy.IfExternalDomains, external: true}},
	{"first_contact", flag{make: policy.IfFirstContact}},
	{"lookalike", flag{make: policy.IfLookalike}},
	{"time", windows{}},
}

// condition is a row: the key, and what its kind of value means. The methods get the value of a rule's field, and only
// when it is not the zero value, which is no condition.
type condition struct {
	key  string
	kind interface {
		check(c *Config, s *source, path string, v wanted)          // notes what is wrong in the file
		conditions(c *Config, v wanted) ([]policy.Condition, error) // for the policy
		words(v wanted) string                                      // for people
		never(c *Config, key string, v wanted) string               // why it is never met; "": it can be
		always(v wanted) bool                                       // all mail meets it
		within(v, other wanted) bool                                // what meets v meets the other as well
	}
}

// wanted is the field of a rule that is a condition.
type wanted struct {
	reflect.Value
	rule *Rule
}

// value is the field of a rule with a key.
func (r *Rule) value(key string) wanted {
	v := reflect.ValueOf(r).Elem()
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("toml") == key {
			return wanted{v.Field(i), r}
		}
	}
	panic("no field of Rule is " + key) // a test looks at each row
}

// each calls do for each condition that the rule has.
func (r *Rule) each(do func(c condition, v wanted)) {
	for _, c := range conditions {
		if v := r.value(c.key); !v.IsZero() && (v.Kind() != reflect.Slice && v.Kind() != reflect.Map || v.Len() > 0) {
			do(c, v)
		}
	}
}

// Conditions are what the policy asks for the rule.
func (r *Rule) Conditions(c *Config) (all []policy.Condition, err error) {
	r.each(func(row condition, v wanted) {
		more, wrong := row.kind.conditions(c, v)
		if all = append(all, more...); err == nil {
			err = wrong
		}
	})
	return all, err
}

// Describe says in one line what the rule matches.
func (r *Rule) Describe() string {
	var all []string
	r.each(func(row condition, v wanted) {
		all = append(all, strings.TrimSpace(strings.ReplaceAll(row.key, "_", " ")+" "+row.kind.words(v)))
	})
	if len(all) == 0 {
		return "all mail"
	}
	return strings.Join(all, "; ")
}

// everything says whether the rule matches all mail.
func (r *Rule) everything() bool {
	all := true
	r.each(func(row condition, v wanted) { all = all && row.kind.always(v) })
	return all
}

// covers says whether the rule takes all mail that the other would match.
func (r *Rule) covers(other *Rule) bool { return r.coversBut(other, "") }

// coversBut is covers without a look at the condition of one key.
func (r *Rule) coversBut(other *Rule, key string) bool {
	all := true
	r.each(func(row condition, v wanted) {
		theirs := other.value(row.key)
		all = all && (row.key == key || row.kind.always(v) || !theirs.IsZero() && row.kind.within(theirs, v))
	})
	return all
}

// coveredBySeveral names earlier rules that take all mail of the rule together, where they differ in one condition
// only; none: there are no such rules.
func (r *Rule) coveredBySeveral(earlier []Rule) (names []string) {
	for _, row := range conditions {
		kind, ok := row.kind.(joinable)
		if !ok {
			continue
		}
		var all []wanted
		names = nil
		for i := range earlier {
			if v := earlier[i].value(row.key); !v.IsZero() && earlier[i].coversBut(r, row.key) {
				all, names = append(all, v), append(names, earlier[i].Name)
			}
		}
		if len(all) > 1 && kind.joined(r.value(row.key), all) {
			return names
		}
	}
	return nil
}

// joinable is a kind of value of which several can leave nothing between them.
type joinable interface {
	joined(v wanted, others []wanted) bool // what meets v, which can be zero, meets one of the others
}

// never says why a rule can match no mail; "" when it can.
func (r *Rule) never(c *Config) (why string) {
	r.each(func(row condition, v wanted) {
		if why == "" {
			why = row.kind.never(c, row.key, v)
		}
	})
	return why
}

// Some names the first of many.
func Some(values []string) string {
	const shown = 4
	if len(values) <= shown+1 {
		return strings.Join(values, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(values[:shown], ", "), len(values)-shown)
}

func strs(v wanted) []string {
	all := make([]string, v.Len())
	for n := range all {
		all[n] = v.Index(n).String()
	}
	return all
}

// sameWords says whether two lists have the same entries.
func sameWords(a, b wanted) bool {
	return slices.Equal(slices.Sorted(slices.Values(strs(a))), slices.Sorted(slices.Values(strs(b))))
}
