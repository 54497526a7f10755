package postfix

import (
	"maps"
	"slices"
	"strings"
)

// Treatment is what a service of Postfix has done to a message beyond taking it in. A message that is held loses all of
// it with its queue file, so the re-injection port has to do it. It is comparable by String.
type Treatment struct {
	Filter   string              // content_filter
	Unmapped bool                // no_address_mappings: canonical and virtual maps, masquerading and BCC maps come later
	Cleanup  string              // the cleanup service
	Settings string              // what is set for that service alone, but for checks and milters
	Checks   map[string][]string // tables by parameter: header_checks, body_checks, ...; none with no_header_body_checks
	// access checks of sender and recipient that can act on a queue file, by the stage in which the port makes them
	Restrict   map[string][]string
	Unseen     []string // checks by client, login or policy server, which the port can't make
	checksFrom *Service
}

// checkNames are the parameters of cleanup(8) whose tables can act on a queue file.
var checkNames = []string{"header_checks", "mime_header_checks", "nested_header_checks", "body_checks",
	"milter_header_checks"}

// Treatment returns what a service does to its messages: an smtpd, or pickup, which takes what sendmail(1) submits.
func (s *Service) Treatment() Treatment {
	t := Treatment{Filter: s.Get("content_filter"), Checks: map[string][]string{}, Restrict: map[string][]string{}}
	overrides := entries(s.Get("receive_override_options"))
	t.Unmapped = slices.Contains(overrides, "no_address_mappings")
	if cleanup := s.Cleanup(); cleanup != nil {
		t.Cleanup, t.Settings, t.checksFrom = cleanup.Name, cleanup.settings(), cleanup
		for _, name := range checkNames {
			if tables := entries(cleanup.Get(name)); len(tables) > 0 && !slices.Contains(overrides, "no_header_body_checks") {
				t.Checks[name] = tables
			}
		}
	}
	if s.Command == "pickup" {
		s = &Service{config: s.config} // the port can't tell what sendmail(1) submitted from the rest
	}
	t.restrictions(s)
	return t
}

// stages are those of smtpd's restrictions, and the one in which the re-injection port makes a check that is keyed by
// the envelope. Its own stages for clients keep strangers out.
var stages = [][2]string{{"client", "sender"}, {"helo", "sender"}, {"sender", "sender"}, {"relay", "recipient"},
	{"recipient", "recipient"}, {"data", "recipient"}, {"end_of_data", "recipient"}}

func (t *Treatment) restrictions(s *Service) {
	for _, stage := range stages {
		rules := reached(s, s.rules("smtpd_"+stage[0]+"_restrictions"))
		for n, rule := range rules {
			if n+1 == len(rules) || rule != "check_policy_service" && !accessCheck(rule) {
				continue
			}
			check := rule + " " + rules[n+1]
			switch acts := s.config.Acts(rules[n+1]); {
			case acts == No && s.answersClass(rules[n+1]):
				t.Unseen = append(t.Unseen, check)
			case acts == No:
			case strings.HasPrefix(rule, "check_sender_") || strings.HasPrefix(rule, "check_recipient_"):
				t.Restrict[stage[1]] = append(t.Restrict[stage[1]], check)
			default:
				t.Unseen = append(t.Unseen, check)
			}
		}
	}
}

func accessCheck(rule string) bool {
	return strings.HasPrefix(rule, "check_") && strings.HasSuffix(rule, "_access")
}

// reached leaves out the rules that no outbound message meets: those behind a permission for clients of ours and for
// logins.
func reached(s *Service, rules []string) []string {
	networks, logins := false, s.Get("smtpd_sasl_auth_enable") != "yes"
	for n, rule := range rules {
		networks = networks || rule == "permit_mynetworks"
		logins = logins || rule == "permit_sasl_authenticated"
		if rule == "permit" || rule == "reject" || rule == "defer" || networks && logins {
			return rules[:n]
		}
	}
	return rules
}

// settings are those of a cleanup service alone, sorted, without the checks, and without what concerns clients and
// milters.
func (s *Service) settings() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(s.own)) {
		if !slices.Contains(checkNames, name) && name != "in_flow_delay" && name != "syslog_name" &&
			!strings.Contains(name, "milter") {
			all = append(all, name+"="+s.own[name])
		}
	}
	return strings.Join(all, " ")
}

// Tables are all tables that the port asks again, by the parameter that has them.
func (t Treatment) Tables() map[string][]string {
	all := map[string][]string{}
	for name, tables := range t.Checks {
		all[name] = tables
	}
	for stage, checks := range t.Restrict {
		for _, check := range checks {
			_, table, _ := strings.Cut(check, " ")
			name := "smtpd_" + stage + "_restrictions"
			all[name] = append(all[name], table)
		}
	}
	return all
}

// String is the same for treatments that are the same, but for what the port can't do.
func (t Treatment) String() string {
	var b strings.Builder
	b.WriteString(t.Filter + "\n" + t.Settings + "\n")
	if t.Unmapped {
		b.WriteString("no_address_mappings\n")
	}
	for _, name := range checkNames {
		b.WriteString(name + " = " + strings.Join(t.Checks[name], ", ") + "\n")
	}
	for _, stage := range []string{"sender", "recipient"} {
		b.WriteString(stage + " = " + strings.Join(t.Restrict[stage], ", ") + "\n")
	}
	return b.String()
}

// Differs names the settings in which two treatments differ.
func (t Treatment) Differs(other Treatment) (settings []string) {
	add := func(name string, differ bool) {
		if differ {
			settings = append(settings, name)
		}
	}
	add("content_filter", t.Filter != other.Filter)
	checks := slices.ContainsFunc(checkNames, func(name string) bool {
		return !slices.Equal(t.Checks[name],
			other.Checks[name])
	})
	add("cleanup_service_name", t.Settings != other.Settings || checks && t.Cleanup != other.Cleanup)
	add("receive_override_options", t.Unmapped != other.Unmapped || checks && t.Cleanup == other.Cleanup)
	for _, stage := range []string{"sender", "recipient"} {
		add("smtpd_"+stage+"_restrictions", !slices.Equal(t.Restrict[stage], other.Restrict[stage]))
	}
	return settings
}
