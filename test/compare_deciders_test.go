package test

import (
	"os"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// deciderSites ask somebody else what should become of mail: policy servers, the server of the recipient, postscreen.
// The last ones have mail that comes from nobody or goes nowhere.
var deciderSites = []*site{
	{name: "a policy server that refuses, delays and adds fields", programs: withPolicyServer, warns: "postfix.unseen",
		main:     policyRestriction,
		messages: decided("prepend", "defer", "later", "unless", "reject", "code", "discard", "warn", "ok", "info")},
	{name: "a policy server that acts", short: true, programs: withPolicyServer, differs: "postfix.unseen",
		main: policyRestriction, master: behindPolicy, messages: decided("hold", "filter", "redirect", "bcc")},
	{name: "a policy server that acts, and a rule as doctor says", programs: withPolicyServer, warns: "postfix.unseen",
		main: policyRestriction, master: behindPolicy, messages: decided("hold", "filter", "redirect", "bcc", "prepend"),
		byHand: func(p *place) { p.unheldSenders("hold", "filter", "redirect", "bcc") }},
	{name: "a policy server at the end of the message", programs: withPolicyServer, warns: "postfix.unseen",
		main: "smtpd_end_of_data_restrictions = check_policy_service inet:{policy}\n" +
			"smtpd_data_restrictions = check_policy_service inet:{policy}\n",
		messages: decided("prepend", "defer", "reject", "warn", "discard")},
	{name: "a policy server that is away", warns: "postfix.unseen",
		main: "smtpd_recipient_restrictions = check_policy_service { inet:127.0.0.1:1, default_action=DUNNO, " +
			"max_idle=1s, timeout=2s }, permit_mynetworks, reject\nsmtpd_policy_service_retry_delay = 1s\n" +
			"smtpd_policy_service_try_limit = 1\n"},
	{name: "addresses are verified", around: refusesSome, main: verifying, messages: []letter{
		{name: "known", to: []string{"b@x.test", "known@x.test"}},
		{name: "unknown", to: []string{"unknown@x.test"}}, {name: "unknown among others",
			to: []string{"b@x.test", "unknown@x.test"}},
		{name: "unknown sender", from: "unknown@corp.test"}, {name: "full", to: []string{"full@x.test"}}}},
	{name: "postscreen in front", held: []string{"user"}, messages: []letter{{name: "user", by: "submission"}},
		main: "postscreen_access_list = permit_mynetworks\n",
		master: "{submission} inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd\n  -o smtpd_helo_required=yes\n" +
			"dnsblog unix - - n - 0 dnsblog\ntlsproxy unix - - n - 0 tlsproxy\n"},
	{name: "milters in front of a proxy filter and behind it", held: []string{"user"},
		master: "{submission} inet n - n - - smtpd\n  -o smtpd_proxy_filter={filter}\n{back} inet n - n - - smtpd\n" +
			"  -o syslog_name=postfix/behind\n", messages: []letter{{name: "user", by: "submission"}}},
	{name: "mail from nobody", held: []string{"list of its own marks"}, unheld: fromNobody,
		main: "sender_canonical_maps = inline:{a@corp.test=anna@corp.test}\nalways_bcc = archive@arch.test\n" +
			"empty_address_recipient = postmaster\n", messages: []letter{
			{name: "nobody", from: "<>"}, {name: "nobody by a program", from: "<>", by: "sendmail"},
			{name: "nobody to many", from: "<>", to: []string{"b@x.test", "c@x.test", "d@y.test"}},
			{name: "list of its own marks", from: "list-bounces+b=x.test@corp.test"}}},
	{name: "mail that goes nowhere", main: "transport_maps = inline:{ {gone.test = discard:}, " +
		"{closed.test = error:5.1.2 closed}, {moved.test = error:5.1.6 moved} }\n", messages: goesNowhere},
	{name: "bounces are filtered as well", main: "internal_mail_filter_classes = bounce, notify\n" +
		"header_checks = regexp:{ {/^Subject: Undelivered/ PREPEND X-Bounced: 1} }\n" +
		"transport_maps = inline:{ {gone.test = discard:}, {closed.test = error:5.1.2 closed} }\n",
		messages: goesNowhere},
	{name: "refused by the next server", around: refusesSome, messages: []letter{
		{name: "unknown", to: []string{"unknown@x.test"}},
		{name: "unknown among others", to: []string{"b@x.test", "unknown@x.test", "d@y.test"},
			mailArgs: " RET=HDRS ENVID=E1"},
		{name: "unknown to a program", by: "sendmail", to: []string{"unknown@x.test"}},
		{name: "no report wanted", to: []string{"unknown@x.test"}, rcptArgs: " NOTIFY=NEVER"}}},
	{name: "long queue IDs", main: "enable_long_queue_ids = yes\n"},
}

// behindPolicy is a content filter whose way back asks the policy server no second time.
const behindPolicy = filtering + "  -o smtpd_recipient_restrictions=permit_mynetworks,reject\n"

const policyRestriction = "smtpd_recipient_restrictions = check_policy_service inet:{policy}, " +
	"permit_mynetworks, reject\n"

// verifying asks the next server for recipients and senders, as a gateway without tables does.
const verifying = `smtpd_recipient_restrictions = reject_unverified_recipient, permit_mynetworks, reject
smtpd_sender_restrictions = reject_unverified_sender
address_verify_map =
address_verify_poll_delay = 1s
address_verify_poll_count = 30
unverified_recipient_reject_code = 550
unverified_sender_reject_code = 550
`

var fromNobody = []string{"nobody", "nobody by a program", "nobody to many"}

var goesNowhere = []letter{{name: "gone", to: []string{"b@gone.test"}},
	{name: "gone among others", to: []string{"b@gone.test", "b@x.test"}},
	{name: "closed", to: []string{"b@closed.test"}},
	{name: "closed among others", to: []string{"b@closed.test", "c@x.test"}},
	{name: "closed to nobody", from: "<>", to: []string{"b@closed.test"}},
	{name: "closed to a program", by: "sendmail", to: []string{"b@closed.test"}}}

// decided are letters whose senders name the action of the policy server.
func decided(actions ...string) (all []letter) {
	for _, a := range actions {
		all = append(all, letter{name: a, from: a + "@corp.test"})
	}
	return all
}

func withPolicyServer(t *testing.T, back string) map[string]string {
	filter := server.StartSinkFor(t, func(d server.Delivery) { handOn(t, back, d) })
	at := server.StartPolicyServer(t, func(attributes map[string]string) string {
		local, _, _ := strings.Cut(attributes["sender"], "@")
		return map[string]string{"hold": "HOLD look at it", "filter": "FILTER scan:" + bracketed(filter.Addr),
			"redirect": "REDIRECT boss@corp.test", "bcc": "BCC archive@arch.test", "prepend": "PREPEND X-Policy: " + local,
			"defer": "DEFER not now", "later": "DEFER_IF_PERMIT not now", "unless": "DEFER_IF_REJECT not now",
			"reject": "REJECT no", "code": "451 4.7.1 greylisted", "discard": "DISCARD", "warn": "WARN look",
			"info": "INFO note", "ok": "OK"}[local]
	})
	return map[string]string{"{policy}": at}
}

// unheldSenders are given to Postfix at once, by the rule that doctor names.
func (p *place) unheldSenders(names ...string) {
	text, err := os.ReadFile(p.conf)
	p.must(err)
	rule := "\n[[hold.rule]]\nname = \"judged\"\nsender = [\"" +
		strings.Join(names, "@corp.test\", \"") + "@corp.test\"]\ngrace = \"0s\"\n"
	p.must(os.WriteFile(p.conf, append(text, rule...), 0o600))
	p.restartDaemon()
}

// refusesSome has the next server refuse some addresses.
func refusesSome(p *place) {
	p.sink.Answer(func(line string) string {
		switch {
		case strings.HasPrefix(line, "RCPT TO:<UNKNOWN"):
			return "550 5.1.1 unknown"
		case strings.HasPrefix(line, "RCPT TO:<FULL"):
			return "552 5.2.2 full"
		}
		return ""
	})
}
