package test

import (
	"strings"

	gomilter "github.com/emersion/go-milter"
	"github.com/recall-milter/recall-milter/test/server"
)

// filtering are the lines of a content filter: the transport to it, and the port to which it hands what passes.
const filtering = `scan unix - - n - 10 smtp
{back} inet n - n - - smtpd
  -o content_filter=
  -o smtpd_milters=
  -o receive_override_options=no_unknown_recipient_checks,no_header_body_checks,no_milters
`

// users are services by which users submit.
const submitting = "{submission} inet n - n - - smtpd\n  -o syslog_name=postfix/submission\n"

var originating = "smtp_by_daemon = { ORIGINATING = \"{port2}\" }\n"

var checking = []letter{{name: "hold", subject: "hold this"}, {name: "copy", subject: "copy this"},
	{name: "filter", subject: "filter this"},
	{name: "redirect", subject: "redirect this"}, {name: "refuse", subject: "refuse this"},
	{name: "discard", subject: "away with this"},
	{name: "edits", header: "X-Secret: 1\r\nX-Twice: 1\r\nX-Other: a\r\n"}, {name: "spam", from: "spammer@corp.test"},
	{name: "body hold", body: "stop\r\n"}, {name: "body refused", body: "bad\r\n"}, {name: "body copy", body: "bcc\r\n"}}

var sites = []*site{
	{name: "nothing special", short: true},
	{name: "actions of header_checks and body_checks", short: true, edit: spamMilter, warns: "postfix.envelope",
		main: `smtpd_milters = {before}
header_checks = regexp:{ {/^Subject: hold/ HOLD}, {/^Subject: copy/ BCC archive@arch.test},
  {/^Subject: filter/ FILTER scan:{filter}},
  {/^Subject: redirect/ REDIRECT boss@corp.test}, {/^Subject: refuse/ REJECT no}, {/^Subject: away/ DISCARD},
  {/^X-Secret:/ IGNORE}, {/^X-Twice:/ PREPEND X-Added: 1},
  {/^X-Other: a/ REPLACE X-Other: b} }
milter_header_checks = regexp:{ {/^X-Spam: Yes/ HOLD} }
body_checks = regexp:{ {/^stop/ HOLD}, {/^bad/ REJECT no}, {/^bcc/ BCC archive@arch.test} }
`, master: filtering, messages: checking},
	{name: "actions of access tables", short: true, master: filtering + "  -o smtpd_sender_restrictions=\n",
		main: `smtpd_sender_restrictions = check_sender_access inline:{ {suspect@corp.test = HOLD},
  {bad@corp.test = REJECT no},
  {secret@corp.test = FILTER scan:{filter}},
  {copied@corp.test = BCC archive@arch.test}, {gone@corp.test = DISCARD}, {fine@corp.test = OK},
  {tagged@corp.test = PREPEND X-Tag: 1} }, check_sender_access inline:{fine@corp.test=HOLD}
smtpd_recipient_restrictions = check_recipient_access inline:{ {stop@x.test = HOLD},
  {to@x.test = REDIRECT boss@corp.test} }, permit_mynetworks, reject
`, messages: []letter{{name: "suspect", from: "suspect@corp.test"}, {name: "bad", from: "bad@corp.test"},
			{name: "secret", from: "secret@corp.test"},
			{name: "copied", from: "copied@corp.test"}, {name: "gone", from: "gone@corp.test"},
			{name: "fine", from: "fine@corp.test"}, {name: "tagged", from: "tagged@corp.test"},
			{name: "stop", to: []string{"b@x.test", "stop@x.test"}}, {name: "to", to: []string{"to@x.test", "b@x.test"}}}},
	{name: "a milter before ours changes envelopes", short: true, edit: envelopes, main: "smtpd_milters = {before}\n",
		differs: "postfix.envelope", messages: enveloped},
	{name: "the same milter at the re-injection port", edit: envelopes, main: "smtpd_milters = {before}\n",
		messages: enveloped,
		byHand: func(p *place) {
			p.postconf("-e", "smtpd_milters=inet:"+p.milter)
			p.postconf("-P", p.mta.reinject+"/inet/smtpd_milters="+p.before,
				p.mta.reinject+"/inet/receive_override_options=no_header_body_checks")
		}},
	{name: "a content filter of all, mappings behind it", short: true, master: filtering,
		main: "always_bcc = archive@arch.test\ncontent_filter = scan:{filter}\nreceive_override_options = " +
			"no_address_mappings\nvirtual_alias_maps = inline:{alias@corp.test=b@x.test}\nvirtual_alias_domains =\n",
		messages: []letter{{name: "alias", to: []string{"alias@corp.test"}}}},
	{name: "a content filter of all, mappings before it",
		main: "always_bcc = archive@arch.test\ncontent_filter = scan:{filter}\nsender_canonical_maps = " +
			"inline:{a@corp.test=anna@corp.test}\nlocal_header_rewrite_clients = static:all\n",
		master:   strings.Replace(filtering, "no_milters", "no_milters,no_address_mappings", 1),
		messages: []letter{{name: "other", from: "c@corp.test"}}},
	{name: "a content filter of submission, not told", short: true, differs: "postfix.service",
		master:   filtering + submitting + "  -o content_filter=scan:{filter}\n",
		messages: []letter{{name: "user", by: "submission"}}},
	{name: "a content filter of submission", short: true, config: originating,
		master:   filtering + submitting + "  -o content_filter=scan:{filter}\n  -o milter_macro_daemon_name=ORIGINATING\n",
		messages: []letter{{name: "user", by: "submission"}}},
	{name: "submission has a cleanup service of its own", config: originating,
		main: "header_checks = regexp:{ {/^Subject: hold/ HOLD} }\n",
		master: "sub unix n - n - 0 cleanup\n  -o {header_checks=regexp:{{/^Received:/ IGNORE}}}\n  -o " +
			"always_bcc=archive@arch.test\n" + submitting +
			"  -o cleanup_service_name=sub\n  -o milter_macro_daemon_name=ORIGINATING\n",
		messages: []letter{{name: "user", by: "submission"}, {name: "user hold", by: "submission", subject: "hold"},
			{name: "hold", subject: "hold"}}},
	{name: "a filter that hands on to a port with milters", short: true, warns: "postfix.back",
		unheld: []string{"from outside"},
		main: `content_filter = scan:{filter}
canonical_maps = inline:{ {a@corp.test = anna@corp.test} }
sender_canonical_maps = regexp:{ {/^(.*)@(other\.test)$$/ SRS0=x=$$2=$$1@corp.test} }
sender_canonical_classes = envelope_sender
local_header_rewrite_clients = static:all
smtpd_authorized_xclient_hosts = 127.0.0.0/8
smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination
relay_domains = corp.test
`, master: "scan unix - - n - 10 smtp\n{back} inet n - n - - smtpd\n  -o content_filter=\n",
		messages: []letter{{name: "forwarded", from: "a@other.test"},
			{name: "from outside", from: "a@other.test", to: []string{"b@corp.test"}, by: "outside"}}},
	{name: "smtpd_command_filter", short: true,
		main: "smtpd_command_filter = regexp:{ {/^(RCPT TO:<[^>]*>)$$/ $$1 NOTIFY=SUCCESS,FAILURE,DELAY} }\n"},
	{name: "header_checks take Received out", short: true,
		main: "header_checks = regexp:{ {/^Received: from .*by gw\\.corp\\.test/ IGNORE} }\n"},
	{name: "canonical maps", main: `canonical_maps = inline:{ {a@corp.test = anna@corp.test}, {b@x.test = bert@x.test} }
sender_canonical_maps = inline:{ {x@corp.test = y@corp.test}, {y@corp.test = x@corp.test} }
recipient_canonical_maps = inline:{ {c@x.test = d@y.test}, {d@y.test = c@x.test} }
local_header_rewrite_clients = static:all
`, messages: []letter{{name: "swapped", from: "x@corp.test", header: "Sender: x@corp.test\r\nCc: c@x.test\r\n",
		to: []string{"b@x.test", "c@x.test"}}}},
	{name: "virtual aliases", main: "virtual_alias_domains = list.test\nvirtual_alias_maps = inline:{ {all@list.test = " +
		"b@x.test c@x.test}, {b@x.test = d@y.test} }\n",
		messages: []letter{{name: "list", to: []string{"all@list.test", "b@x.test"}}}},
	{name: "masquerading",
		main: "masquerade_domains = corp.test\nmasquerade_exceptions = root\nlocal_header_rewrite_clients = static:all\n",
		messages: []letter{{name: "host", from: "a@host.corp.test", header: "Reply-To: a@host.corp.test\r\n"},
			{name: "root", from: "root@host.corp.test"}}},
	{name: "BCC maps", main: "sender_bcc_maps = inline:{a@corp.test=sent@arch.test}\nrecipient_bcc_maps = " +
		"inline:{b@x.test=got@arch.test}\nalways_bcc = all@arch.test\n"},
	{name: "aliases of local users", main: "mydestination = corp.test\nalias_maps = " +
		"inline:{colleague=d@y.test}\nlocal_recipient_maps = $alias_maps\nmail_spool_directory = {dir}/\n",
		messages: []letter{{name: "alias", to: []string{"colleague@corp.test"}},
			{name: "nobody", to: []string{"nobody@corp.test"}}}},
	{name: "SRS by a map", main: "sender_canonical_maps = regexp:{ {/^(.*)@(other\\.test)$$/ SRS0=x=$$2=$$1@corp.test} " +
		"}\nsender_canonical_classes = envelope_sender\n",
		messages: []letter{{name: "forwarded", from: "a@other.test"}}},
	{name: "addresses are rewritten on their way out", main: "smtp_generic_maps = " +
		"inline:{a@corp.test=anna@corp.example}\nsmtp_header_checks = regexp:{ {/^X-Inside:/ IGNORE} }\n",
		messages: []letter{{name: "inside", header: "X-Inside: 1\r\n"}}},
	{name: "relay domains", main: "relay_domains = y.test\nrelay_recipient_maps = inline:{d@y.test=x}\ntransport_maps " +
		"= inline:{z.test=error:no}\n",
		messages: []letter{{name: "relay", to: []string{"d@y.test"}}, {name: "unknown", to: []string{"e@y.test"}}}},
	{name: "a smart host for each sender", main: "sender_dependent_relayhost_maps = inline:{c@corp.test=[127.0.0.1]:1}\n"},
	{name: "restrictions and limits", main: `smtpd_sender_restrictions = reject_unknown_sender_domain, permit
smtpd_client_restrictions = permit_mynetworks
smtpd_data_restrictions = reject_unauth_pipelining
smtpd_reject_unlisted_sender = yes
smtpd_helo_required = yes
smtpd_discard_ehlo_keywords = dsn
smtpd_hard_error_limit = 1
smtpd_client_message_rate_limit = 8
smtpd_client_recipient_rate_limit = 20
smtpd_client_event_limit_exceptions =
mydestination = corp.test
local_recipient_maps = inline:{a=x}
virtual_alias_maps = inline:{ {cron@corp.test=b@x.test}, {e@corp.test=b@x.test} }
`},
	{name: "header fields of remote clients are not rewritten",
		main: "local_header_rewrite_clients =\ncanonical_maps = inline:{a@corp.test=anna@corp.test}\n"},
	{name: "header fields of remote clients get a domain",
		main: "local_header_rewrite_clients =\nremote_header_rewrite_domain = domain.invalid\n"},
	{name: "address extensions", main: "recipient_delimiter = +\nvirtual_alias_maps = " +
		"inline:{b@x.test=c@x.test}\npropagate_unmatched_extensions = canonical, virtual\n",
		messages: []letter{{name: "extension", to: []string{"b+tag@x.test"}}}},
	{name: "missing fields are added", main: "always_add_missing_headers = yes\nundisclosed_recipients_header = To: " +
		"undisclosed-recipients:;\nmessage_drop_headers = bcc, x-drop\n",
		messages: []letter{{name: "drop", header: "X-Drop: 1\r\nBcc: s@x.test\r\n"}}},
	{name: "strict syntax", main: "strict_rfc821_envelopes = yes\nstrict_7bit_headers = yes\nstrict_8bitmime_body = " +
		"yes\ndisable_vrfy_command = yes\n"},
	{name: "programs' mail has other checks", config: "smtp_by_daemon = { LOCAL = \"{port2}\" }\n",
		main: "content_filter = scan:{filter}\nheader_checks = regexp:{ {/^Subject: hold/ HOLD} }\n",
		master: filtering + "pickup unix n - n 60 1 pickup\n  -o content_filter=\n  -o " +
			"receive_override_options=no_header_body_checks\n  -o cleanup_service_name=local-cleanup\nlocal-cleanup unix n - " +
			"n - 0 cleanup\n  -o milter_macro_daemon_name=LOCAL\n",
		messages: []letter{{name: "program hold", by: "sendmail", subject: "hold"}, {name: "hold", subject: "hold"}}},
	{name: "a proxy filter before the queue", short: true, held: []string{"user"},
		master: `{submission} inet n - n - - smtpd
  -o smtpd_proxy_filter={filter}
  -o smtpd_milters=
{back} inet n - n - - smtpd
  -o syslog_name=postfix/behind
`, messages: []letter{{name: "user", by: "submission"}}},
	{name: "a chroot, as Debian has it", main: "", master: "chrooted unix n - y - 0 cleanup\n" + submitting +
		"  -o cleanup_service_name=chrooted\n",
		differs: "", config: "", messages: []letter{{name: "user", by: "submission"}}},
	{name: "an instance that relays to this one", messages: []letter{{name: "from there", by: "instance"}},
		around: func(p *place) { p.instance = server.StartSite(p.t, p.mta.smtp, "", "").SMTP }},
}

func spamMilter(sender string, m *gomilter.Modifier) {
	if sender == "spammer@corp.test" {
		m.AddHeader("X-Spam", "Yes")
	}
}

var enveloped = []letter{{name: "srs", from: "srs@corp.test"}, {name: "journal", from: "journal@corp.test"},
	{name: "dlp", from: "dlp@corp.test", to: []string{"b@x.test", "rival@x.test"}},
	{name: "quarantine", from: "quarantine@corp.test"}}

func envelopes(sender string, m *gomilter.Modifier) {
	switch local, _, _ := strings.Cut(sender, "@"); local {
	case "srs":
		m.ChangeFrom("<SRS0=x=y@corp.test>")
	case "journal":
		m.AddRecipient("journal@arch.test")
	case "dlp":
		m.DeleteRecipient("rival@x.test")
	case "quarantine":
		m.Quarantine("a look first")
	}
}
