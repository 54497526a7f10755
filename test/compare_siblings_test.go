package test

// siblingSites have settings that are like those of others in sites, and that an administrator may have as well.
var siblingSites = []*site{
	{name: "answers that neither act nor refuse", main: `
header_checks = regexp:{ {/^Subject: warn/ WARN look}, {/^Subject: info/ INFO note}, {/^Subject: strip/ STRIP},
  {/^Subject: early/ PREPEND X-Early: 1}, {/^Subject: dunno/ DUNNO} }
smtpd_client_restrictions = check_client_access inline:{127.0.0.1=INFO}
smtpd_sender_restrictions = check_sender_access inline:{ {warn@corp.test = WARN look}, {info@corp.test = INFO note},
  {later@corp.test = DEFER_IF_PERMIT not now}, {never@corp.test = DEFER_IF_REJECT not now} }
`, messages: []letter{{name: "warn", subject: "warn"}, {name: "info", subject: "info"},
		{name: "strip", subject: "strip"},
		{name: "early", subject: "early"}, {name: "dunno", subject: "dunno"}, {name: "warned", from: "warn@corp.test"},
		{name: "noted", from: "info@corp.test"}, {name: "later", from: "later@corp.test"},
		{name: "never", from: "never@corp.test"}}},
	{name: "actions in every list of restrictions", main: `
smtpd_helo_restrictions = check_sender_access inline:{helo@corp.test=HOLD}
smtpd_client_restrictions = check_sender_access inline:{ {client@corp.test = REDIRECT boss@corp.test} }
smtpd_relay_restrictions = check_sender_access inline:{ {relay@corp.test = BCC archive@arch.test} },
  permit_mynetworks, reject
smtpd_data_restrictions = check_sender_access inline:{data@corp.test=HOLD}
smtpd_end_of_data_restrictions = check_sender_access inline:{end@corp.test=HOLD}
`, messages: []letter{{name: "helo", from: "helo@corp.test"}, {name: "client", from: "client@corp.test"},
		{name: "relay", from: "relay@corp.test"}, {name: "data", from: "data@corp.test"},
		{name: "end", from: "end@corp.test"}}},
	{name: "checks of parts", main: `mime_header_checks = regexp:{ {/name="?stop/ HOLD}, {/name="?bad/ REJECT no} }
nested_header_checks = regexp:{ {/^Subject: inner/ BCC archive@arch.test} }
`, messages: []letter{{name: "attached", header: partsHeader, body: part("application/pdf; name=\"stop.pdf\"")},
		{name: "refused part", header: partsHeader, body: part("application/pdf; name=\"bad.pdf\"")},
		{name: "forwarded", header: partsHeader,
			body: "--q\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nx\r\n--q--\r\n"}}},
	{name: "limits of header and size", main: "header_size_limit = 2048\nmessage_size_limit = 20000\n" +
		"mime_nesting_limit = 3\nline_length_limit = 512\n",
		messages: []letter{{name: "long field", header: "X-Long: " + longText(4000) + "\r\n"},
			{name: "nearly too large", body: longBody(15000)},
			{name: "too large", body: longBody(30000)}}},
	{name: "recipients are verified", main: "smtpd_recipient_restrictions = reject_unlisted_recipient, " +
		"permit_mynetworks, reject\nsmtpd_reject_unlisted_sender = yes\n" +
		"smtpd_sender_login_maps = inline:{boss@corp.test=boss}\n" +
		"smtpd_sender_restrictions = reject_unauthenticated_sender_login_mismatch\n",
		messages: []letter{{name: "forged boss", from: "boss@corp.test"}}},
}

const partsHeader = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=q\r\n"

func part(kind string) string { return "--q\r\nContent-Type: " + kind + "\r\n\r\nx\r\n--q--\r\n" }

// longText is a folded text of so many bytes; longBody has lines.
func longText(n int) string {
	text := ""
	for len(text) < n {
		text += "0123456789 0123456789 0123456789\r\n "
	}
	return text + "x"
}

func longBody(n int) string {
	text := ""
	for len(text) < n {
		text += "0123456789 0123456789 0123456789 0123456789\r\n"
	}
	return text
}
