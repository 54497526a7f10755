package test

import (
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// filterSites have real signers and filters around the hold, a list server, and what programs ask for.
var filterSites = []*site{
	{name: "OpenDKIM signs before the hold", short: true, programs: withOpenDKIM,
		main: "smtpd_milters = inet:{opendkim}\nnon_smtpd_milters = $smtpd_milters\n"},
	{name: "OpenDKIM signs at the re-injection port", programs: withOpenDKIM,
		main:   "smtpd_milters = inet:{opendkim}\nnon_smtpd_milters = $smtpd_milters\n",
		byHand: func(p *place) { p.toThePort() }},
	{name: "OpenDKIM signs behind a content filter", programs: withOpenDKIM, main: "content_filter = scan:{filter}\n",
		master: strings.Replace(strings.Replace(filtering, "smtpd_milters=", "smtpd_milters=inet:{opendkim}", 1),
			",no_milters", "", 1)},
	{name: "Rspamd before the hold", short: true, programs: withRspamd, main: "smtpd_milters = inet:{rspamd}\n",
		messages: judgedByRspamd},
	{name: "Rspamd at the re-injection port", programs: withRspamd,
		main:   "smtpd_milters = inet:{rspamd}\nnon_smtpd_milters = $smtpd_milters\n",
		byHand: func(p *place) { p.toThePort() }},
	{name: "Rspamd, then OpenDKIM, before the hold", main: "smtpd_milters = inet:{rspamd}, inet:{opendkim}\n",
		messages: judgedByRspamd,
		programs: func(t *testing.T, back string) map[string]string {
			all := withRspamd(t, back)
			all["{opendkim}"] = withOpenDKIM(t, back)["{opendkim}"]
			return all
		}},
	{name: "amavis as a content filter", programs: withAmavis,
		main: "content_filter = amavis:{amavis}\n", master: behindAmavis},
	{name: "amavis as a content filter of submission", programs: withAmavis, config: originating,
		master: behindAmavis + submitting +
			"  -o content_filter=amavis:{amavis}\n  -o milter_macro_daemon_name=ORIGINATING\n",
		messages: []letter{{name: "user", by: "submission"}}},
	{name: "amavis before the queue", programs: withAmavis, held: []string{"user"},
		master: "{submission} inet n - n - - smtpd\n  -o smtpd_proxy_filter={amavis}\n  -o smtpd_milters=\n" +
			"{back} inet n - n - - smtpd\n  -o syslog_name=postfix/behind\n",
		messages: []letter{{name: "user", by: "submission"}}},
	{name: "amavis as a milter", programs: withAmavisMilter, main: "smtpd_milters = inet:{amavis}\n",
		warns: "postfix.envelope"},
	{name: "amavis as a milter at the re-injection port", programs: withAmavisMilter,
		main:   "smtpd_milters = inet:{amavis}\n",
		byHand: func(p *place) { p.toThePort() }},
	{name: "SRS by PostSRSd", programs: withPostSRSd, messages: []letter{{name: "forwarded", from: "a@other.test"}},
		main: "sender_canonical_maps = tcp:{forward}\nsender_canonical_classes = envelope_sender\n" +
			"recipient_canonical_maps = tcp:{backward}\nrecipient_canonical_classes = envelope_recipient, header_recipient\n"},
	{name: "two submission services, each with a filter of its own",
		config: "smtp_by_daemon = { USERS = \"{port2}\", LISTS = \"{port3}\" }\n",
		master: filtering + submitting + "  -o content_filter=scan:{filter}\n  -o milter_macro_daemon_name=USERS\n" +
			"{second} inet n - n - - smtpd\n  -o syslog_name=postfix/lists\n  -o " +
			"receive_override_options=no_address_mappings\n" +
			"  -o milter_macro_daemon_name=LISTS\n",
		main:     "always_bcc = archive@arch.test\n",
		messages: []letter{{name: "user", by: "submission"}, {name: "list", by: "second"}}},
	{name: "a list server with XVERP", short: true, main: "smtpd_authorized_verp_clients = 127.0.0.0/8\n",
		messages: listLetters("")},
	{name: "a list server at a port of its own", master: submitting + "  -o smtpd_authorized_verp_clients=127.0.0.0/8\n",
		messages: listLetters("submission")},
	{name: "what programs submit has a port", short: true, byHand: func(p *place) { p.withProgramsPort() },
		main: "smtp_generic_maps = inline:{a@corp.test=anna@corp.example}\nsmtp_header_checks = regexp:{ {/^X-Inside:/ " +
			"IGNORE} }\n" +
			"header_checks = regexp:{ {/^Subject: hold/ HOLD}, {/^X-Twice:/ PREPEND X-Added: 1} }\n",
		messages: []letter{{name: "program twice", by: "sendmail", header: "X-Twice: 1\r\nX-Inside: 1\r\n"},
			{name: "program hold", by: "sendmail", subject: "hold"},
			{name: "short program", by: "sendmail", from: "cron", to: []string{"colleague"}},
			{name: "program notified", by: "sendmail", args: []string{"-N", "success,failure", "-R", "hdrs"}},
			{name: "program list", by: "sendmail", args: []string{"-XV"}, to: []string{"b@x.test", "c@x.test"}},
			{name: "program long line", by: "sendmail", body: strings.Repeat("long ", 400) + "\r\n"}}},
}

// toThePort moves the milters of the site from where clients submit to the re-injection port, where ours is alone.
func (p *place) toThePort() {
	theirs := strings.TrimSuffix(p.postconfValue("smtpd_milters"), ", inet:"+p.milter)
	p.postconf("-e", "smtpd_milters=inet:"+p.milter)
	p.postconf("-P", p.mta.reinject+"/inet/smtpd_milters="+theirs,
		p.mta.reinject+"/inet/receive_override_options=no_header_body_checks")
}

func listLetters(by string) []letter {
	to := []string{"b@x.test", "c@x.test", "d@y.test"}
	return []letter{{name: "issue", from: "list-bounces@corp.test", to: to, by: by, mailArgs: " XVERP"},
		{name: "issue with other marks", from: "list-bounces@corp.test", to: to, by: by, mailArgs: " XVERP=-="}}
}

func withOpenDKIM(t *testing.T, _ string) map[string]string {
	return map[string]string{"{opendkim}": server.StartOpenDKIM(t, "corp.test").Milter}
}

// judgedByRspamd are refused before they are held, and edited.
var judgedByRspamd = []letter{{name: "phishing", body: "please verify your password\r\n"},
	{name: "doubtful", body: "a cheap replica\r\n"}}

func withRspamd(t *testing.T, _ string) map[string]string {
	d := server.StartDNS(t)
	publish(t, d)
	return map[string]string{"{rspamd}": server.StartRspamd(t, d, map[string]string{
		"milter_headers.conf": "use = [\"x-spam-level\", \"x-spam-status\"];\nskip_local = false;\nskip_authenticated = " +
			"false;\nextended_spam_headers = false;\n",
		"regexp.conf": siteRegexps + "\n" + `SITE_REPLICA = { re = "/cheap replica/i{mime}"; score = 5.0; }`,
		"options.inc": "local_addrs = [\"192.0.2.0/24\"];\n",
	}).Milter}
}

func withAmavisMilter(t *testing.T, _ string) map[string]string {
	return map[string]string{"{amavis}": server.StartAmavisMilter(t, server.NewSpamAssassin(t, nil))}
}

func withPostSRSd(t *testing.T, _ string) map[string]string {
	forward, back := server.StartPostSRSd(t, "corp.test")
	return map[string]string{"{forward}": forward, "{backward}": back}
}

// behindAmavis is the port to which amavis hands on.
const behindAmavis = `amavis unix - - n - 2 smtp
  -o smtp_send_xforward_command=yes
{back} inet n - n - - smtpd
  -o content_filter=
  -o smtpd_milters=
  -o receive_override_options=no_unknown_recipient_checks,no_header_body_checks,no_milters
`

func withAmavis(t *testing.T, back string) map[string]string {
	spamassassin := server.NewSpamAssassin(t, nil)
	return map[string]string{"{amavis}": bracketed(server.StartAmavis(t, back, spamassassin,
		"$smtp_connection_cache_enable = 0;"))}
}
