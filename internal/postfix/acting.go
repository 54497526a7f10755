package postfix

import (
	"cmp"
	"slices"
	"strings"
)

// A table of header_checks or access(5) says two kinds of things. Some refuse or edit a message: that is done where a
// client submits. Others act on its queue file: HOLD, FILTER, REDIRECT, BCC. A held message has no queue file, so these
// are done at release. There the site's own tables are asked again, through a second table that lets only the second
// kind of answer through (pipemap, DATABASE_README). The first table that has an answer counts, so other answers become
// DUNNO.
const (
	actingText   = `((HOLD|FILTER|REDIRECT|BCC)([[:space:]].*)?)`
	permitText   = `((HOLD|FILTER|REDIRECT|BCC)([[:space:]].*)?|OK|PERMIT)`
	actingName   = "recall_acting"
	permitName   = "recall_acting_or_ok"
	receivedName = "recall_received"
)

// filters are the second tables, by the parameter of main.cf that has them. Fields that are new at release (Received of
// ours and of Postfix itself) meet all that the site's header_checks say.
var filters = map[string]string{
	actingName:   `regexp:{ {/^` + actingText + `$$/ $$1}, {/^/ DUNNO} }`,
	permitName:   `regexp:{ {/^` + permitText + `$$/ $$1}, {/^/ DUNNO} }`,
	receivedName: `regexp:{ {/^(Received:.*)$$/ $$1} }`,
}

// parameter is one of main.cf that a setup writes.
type parameter struct{ name, value string }

// acting returns the parameters by which a port does what its treatment's tables say, and the settings of its services
// that use them. suffix tells the parameters of several ports apart.
func (t Treatment) acting(suffix string) (main []parameter, cleanup, smtpd []string) {
	used := map[string]bool{}
	piped := func(tables ...string) string {
		for _, table := range tables {
			used[strings.TrimPrefix(table, "$")] = true
		}
		return "pipemap:{" + strings.Join(tables, ", ") + "}"
	}
	each := func(list []string, filter string) (all []string) {
		for _, table := range list {
			all = append(all, piped(escaped(table), filter))
		}
		return all
	}
	add := func(to *[]string, setting string, values []string) {
		if len(values) == 0 {
			return
		}
		name := "recall_" + strings.TrimPrefix(setting, "smtpd_") + suffix
		main = append(main, parameter{name, strings.Join(values, ", ")})
		*to = append(*to, setting+"=$"+name)
	}
	for _, name := range checkNames[:4] {
		tables := each(t.Checks[name], "$"+actingName)
		if name == "header_checks" {
			// What milters have added is in the message by now.
			tables = slices.Concat(each(t.Checks["milter_header_checks"], "$"+actingName), tables)
			for n := len(t.Checks[name]) - 1; n >= 0; n-- {
				tables = slices.Insert(tables, 0, piped("$"+receivedName, escaped(t.Checks[name][n])))
			}
		}
		add(&cleanup, name, tables)
	}
	for _, stage := range []string{"sender", "recipient"} {
		var checks []string
		for _, check := range t.Restrict[stage] {
			rule, table, _ := strings.Cut(check, " ")
			checks = append(checks, rule+" "+piped(escaped(table), "$"+permitName))
		}
		add(&smtpd, "smtpd_"+stage+"_restrictions", checks)
	}
	for name, value := range filters {
		if used[name] {
			main = append(main, parameter{name, value})
		}
	}
	slices.SortFunc(main, func(a, b parameter) int { return cmp.Compare(a.name, b.name) })
	return main, cleanup, smtpd
}

// escaped writes an expanded value so that it expands to itself.
func escaped(value string) string { return strings.ReplaceAll(value, "$", "$$") }

// ActsOnly says whether a table is one of the site's that lets nothing but actions on the queue file through, or looks
// at nothing but Received.
func ActsOnly(table string) bool {
	return strings.Contains(table, "HOLD|FILTER|REDIRECT|BCC") ||
		strings.HasPrefix(table, "pipemap:{regexp:{ {/^(Received:.*)")
}

// actsOnly says whether each rule of a list of restrictions is an access check with such a table.
func actsOnly(rules []string) bool {
	for n := 0; n < len(rules); n += 2 {
		if !accessCheck(rules[n]) || n+1 == len(rules) || !ActsOnly(rules[n+1]) {
			return false
		}
	}
	return true
}
