package postfix

import (
	"regexp"
	"slices"
)

// rules are those of a list of restrictions, with what each restriction class (smtpd_restriction_classes) stands for in
// its place.
func (s *Service) rules(list string) []string {
	return s.expanded(entries(s.Get(list)), entries(s.Get("smtpd_restriction_classes")))
}

// expanded puts the rules of classes in place of their names; a class does not contain itself.
func (s *Service) expanded(rules, classes []string) (all []string) {
	for _, rule := range rules {
		if !slices.Contains(classes, rule) {
			all = append(all, rule)
			continue
		}
		others := slices.DeleteFunc(slices.Clone(classes), func(c string) bool { return c == rule })
		all = append(all, s.expanded(entries(s.Get(rule)), others)...)
	}
	return all
}

// answersClass says whether a table has the name of a restriction class, one of whose checks might act on a queue file.
// The re-injection port can't ask such a table again: only actions come through there.
func (s *Service) answersClass(table string) bool {
	text, _ := s.config.texts(table, maxNested)
	classes := entries(s.Get("smtpd_restriction_classes"))
	for _, class := range classes {
		if !regexp.MustCompile(`(^|[\s=,])` + regexp.QuoteMeta(class) + `([\s},]|$)`).MatchString(text) {
			continue
		}
		rules := s.expanded([]string{class}, classes)
		for n, rule := range rules[:max(0, len(rules)-1)] {
			if (rule == "check_policy_service" || accessCheck(rule)) && s.config.Acts(rules[n+1]) != No {
				return true
			}
		}
	}
	return false
}
