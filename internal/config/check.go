package config

import (
	"fmt"
	"net"
	"net/mail"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/recall-milter/recall-milter/policy"
)

// check finds values that are of the right type and still make no sense.
func (c *Config) check(s *source) {
	s.words(reflect.ValueOf(c).Elem(), "", "")
	s.each("listen", c.Listen, func(v string) error { _, _, err := ParseListen(v); return err })
	s.each("redis.addresses", c.Redis.Addresses, checkAddress)
	s.each("outbound.networks", c.Outbound.Networks, checkNetwork)
	s.each("recall.addresses", c.Recall.Addresses, checkMailAddress)
	s.each("recall.personal_logins", c.Recall.PersonalLogins, c.checkPattern)
	s.demand("recall.personal_logins", !OnlyExcludes(c.Recall.PersonalLogins),
		"only excludes logins: add \"*\" if every other login belongs to one person")
	s.each("recall.request_domains", c.Recall.RequestDomains, c.checkPattern)
	s.each("inbound.recall.partners", c.Inbound.Recall.Partners, c.checkPattern)
	s.each("inbound.trust", c.Inbound.Trust, checkServID)
	s.each("inbound.lists", c.Inbound.Lists, c.checkPattern)
	s.each("outbound.local_domains", c.Outbound.LocalDomains, c.checkPattern)
	s.each("inbound.arc_sealers", c.Inbound.ARCSealers, checkDomain)
	s.is("release.smtp", checkAddress(c.Release.SMTP))
	if c.Release.OwnSMTP != "" {
		s.is("release.own_smtp", checkAddress(c.Release.OwnSMTP))
	}
	for name, address := range c.Release.SMTPByDaemon {
		s.is("release.smtp_by_daemon."+name, checkAddress(address))
	}
	s.is("hold.request_header", checkFieldName(c.Hold.RequestHeader))
	s.demand("hold.request_header", !strings.EqualFold(c.Hold.RequestHeader, policy.UntilField),
		policy.UntilField+" is the field for a moment: use another name for that of a grace")
	for path, v := range map[string]string{"inbound.dns": c.Inbound.DNS, "http.listen": c.HTTP.Listen} {
		if v != "" {
			s.is(path, named(v, checkHostPort(v)))
		}
	}
	s.demand("outbound.networks", !OnlyExcludes(c.Outbound.Networks),
		"names only what is not outbound: add the networks that are")
	s.demand("listen", len(c.Listen) > 0, "must name at least one address")
	s.demand("redis.addresses", len(c.Redis.Addresses) > 0, "must name at least one address")
	s.demand("redis.prefix", c.Redis.Prefix != "" && !strings.ContainsAny(c.Redis.Prefix, "{}* \t"),
		"must not be empty and have no braces, stars or blanks")
	s.demand("release.concurrency", c.Release.Concurrency >= 1 && c.Release.Concurrency <= 1000, "must be from 1 to 1000")
	s.demand("release.retry.first", c.Release.Retry.First > 0, "must be longer than 0")
	s.demand("release.retry.max", c.Release.Retry.Max >= c.Release.Retry.First,
		"must not be shorter than release.retry.first")
	s.demand("hold.grace", c.Hold.Grace <= c.Hold.MaxGrace, "must not be longer than hold.max_grace")
	own := c.Hold.OwnGrace
	s.demand("hold.own_grace", len(own) == 0 || len(own) == 2 && own[0] <= own[1] && own[1] <= c.Hold.MaxGrace,
		"needs the least and the most that people may choose, up to hold.max_grace: [\"0s\", \"1h\"]")
	c.checkCalendar(s, "hold", c.Hold.Zone, c.Hold.Holidays)
	s.demand("hold.max_size", c.Hold.MaxSize > 0, "must be above 0")
	c.checkRules(s)
	c.checkInboundRules(s)
	c.checkMailbox(s)
	c.checkWeb(s)
}

// ownMail is the rule that the store names for reports and requests (holdstore.OwnMailRule).
const ownMail = "report"

func (c *Config) checkRules(s *source) {
	seen := map[string]bool{"default": true}
	for i, r := range c.Hold.Rules {
		s.demand("hold.rule."+strconv.Itoa(i)+".name", r.Name != ownMail,
			"\""+ownMail+"\" is the name for the gateway's own mails, which nobody can recall")
		path := "hold.rule." + strconv.Itoa(i)
		s.ruleName(path, r.Name, seen)
		r.each(func(row condition, v wanted) { row.kind.check(c, s, path+"."+row.key, v) })
		s.each(path+".delegates", r.Delegates, c.checkPattern)
		if r.Grace != nil && r.Grace.Map != "" {
			s.is(path+".grace", c.checkRulePattern("@"+r.Grace.Map))
		}
		s.demand(path+".delegates", !OnlyExcludes(r.Delegates),
			"only excludes logins: add \"*\" if every other login may recall this mail")
		c.checkReason(s, path+".reason", r.Reason)
		c.checkTimes(s, path, &r)
	}
}

// ruleName checks the name of a rule among those of its list.
func (s *source) ruleName(path, name string, seen map[string]bool) {
	s.demand(path, name != "", "a rule needs a name")
	at := path + ".name"
	s.demand(at, name == "" || !seen[name], fmt.Sprintf("there is a rule %q already, and \"default\" is the name for "+
		"mail that meets none", name))
	s.demand(at, !strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c == ',' || c == 0x7f }),
		"must have no blanks and commas: it stands in log lines")
	seen[name] = true
}

func (c *Config) checkInboundRules(s *source) {
	seen := map[string]bool{"default": true}
	for i, r := range c.Inbound.Recall.Rules {
		path := "inbound.recall.rule." + strconv.Itoa(i)
		s.ruleName(path, r.Name, seen)
		s.demand(path, len(r.Partners) > 0, "a rule needs partners: the sender domains that it is for")
		s.each(path+".partners", r.Partners, c.checkPattern)
		s.demand(path+".require", r.Require == nil || len(r.Require) > 0,
			"must not be empty: leave it out, and it is as in [inbound.recall]")
	}
}

// words checks every field with a tag "allowed".
func (s *source) words(v reflect.Value, path, allowed string) {
	switch {
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			tag := v.Type().Field(i).Tag
			if key := tag.Get("toml"); key != "" {
				s.words(v.Field(i), join(path, key), tag.Get("allowed"))
			}
		}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		for i := range v.Len() {
			s.words(v.Index(i), join(path, strconv.Itoa(i)), "")
		}
	case allowed == "" || v.Kind() == reflect.String && v.String() == "" && !s.tables[path]: // left out
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			s.words(v.Index(i), join(path, strconv.Itoa(i)), allowed)
		}
	case !slices.Contains(strings.Split(allowed, ","), v.String()):
		s.problem(path, "%s: invalid value %q: use one of %s", path, v.String(),
			strings.ReplaceAll(allowed, ",", ", "))
	}
}

// each checks every element of a list.
func (s *source) each(path string, list []string, check func(string) error) {
	for i, v := range list {
		s.is(join(path, strconv.Itoa(i)), check(v))
	}
}

func (s *source) is(path string, err error) {
	if err != nil {
		s.problem(path, "%s: %v", path, err)
	}
}

func (s *source) demand(path string, ok bool, words string) {
	if !ok {
		s.problem(path, "%s: %s", path, words)
	}
}

func checkNetwork(v string) error { _, err := policy.ParseNetworks([]string{v}); return err }

// OnlyExcludes says whether a list names nothing but exclusions.
func OnlyExcludes(list []string) bool {
	return len(list) > 0 && !slices.ContainsFunc(list, func(v string) bool { return !strings.HasPrefix(v, "!") })
}

func checkMailAddress(v string) error {
	if a, err := mail.ParseAddress(v); err != nil || a.Address != v {
		return fmt.Errorf("invalid mail address %q: use a value like \"recall@corp.test\"", v)
	}
	return nil
}

// checkAddress takes host:port or unix:/path.
func checkAddress(v string) error {
	if strings.HasPrefix(v, "unix:/") {
		return nil
	}
	return named(v, checkHostPort(v))
}

func named(v string, err error) error {
	if err != nil {
		return fmt.Errorf("invalid address %q: %w", v, err)
	}
	return nil
}

// checkServID takes an authserv-id without the queue ID that a message's fields have behind it.
func checkServID(v string) error {
	if v == "" || strings.ContainsFunc(v, func(c rune) bool {
		return c <= ' ' || c >= 0x7f ||
			strings.ContainsRune(`/;()"`, c)
	}) {
		return fmt.Errorf("invalid authserv-id %q: use a name like \"mx.corp.test\"", v)
	}
	return nil
}

func checkDomain(v string) error {
	if !strings.Contains(v, ".") || strings.ContainsFunc(v, func(c rune) bool {
		return c != '-' && c != '.' && c != '_' && !unicode.IsLetter(c) && !unicode.IsDigit(c)
	}) {
		return fmt.Errorf("invalid domain %q: use a value like \"lists.example\"", v)
	}
	return nil
}

func checkFolder(v string, allowed ...string) error {
	if folder, ok := strings.CutPrefix(v, "move:"); slices.Contains(allowed, v) || ok && folder != "" {
		return nil
	}
	return fmt.Errorf("invalid value %q: use one of %s, move:Folder", v, strings.Join(allowed, ", "))
}

// isLoopback says whether host:port is on this machine.
func isLoopback(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// checkFieldName takes what RFC 5322 section 3.6.8 allows; empty is none.
func checkFieldName(v string) error {
	if strings.ContainsFunc(v, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == ':' }) {
		return fmt.Errorf("invalid header field name %q", v)
	}
	return nil
}
