package main

import "github.com/spf13/cobra"

// help is what recallctl VERB --help says in addition to the flags.
type help struct{ short, long, example string }

const storeCodes = "64 wrong command; 69 the store can't be reached; 77 not allowed; 78 invalid config."

const policyExamples = "  recallctl policy test mail.eml --client 192.0.2.7 --helo mx.partner.test --sender " +
	"anna@partner.test --recipient bert@corp.test\n" +
	"  recallctl policy test - --sender anna@partner.test --recipient bert@corp.test <mail.eml"

// helps are those of the verbs whose commands don't have one themselves, by their path.
var helps = map[string]help{
	"log": {"Show the audit trail: who did what, when, and from where",
		"Show the audit trail, oldest entry first: all of it, or that of the messages that are named.\n\n" +
			"Exit codes: 0 shown; 1 no entry matches; " + storeCodes,
		"  recallctl log --since 1d\n  recallctl log 32VWE3H4VYYPX"},
	"drain": {"Send everything now, and wait until it has left",
		"Make everything due that waits at this moment, and wait until it has left. Mail that comes in meanwhile is held " +
			"as usual.\n\n" +
			"Exit codes: 0 all of it has left; 2 some was refused, recalled or still waits; " + storeCodes,
		"  recallctl drain --reason \"new gateway\"\n  recallctl drain --yes --timeout 10m"},
	"forget": {"Remove what the store knows of a person",
		"Remove what the store knows of an address or a login: records of messages that they sent or got and that wait for " +
			"nothing any more (with the content of recalled ones), messages that came in from them, the grace that they " +
			"have chosen, and who has written to whom. Before that, it says how much there is, and asks. Mail that is " +
			"still held stays. What stays elsewhere, and for how long, is in " +
			"/usr/share/doc/recall-milter/docs/privacy.md.\n\n" +
			"Exit codes: 0 forgotten; 1 nothing is known; 2 something is still held, and stays; " + storeCodes,
		"  recallctl forget anna@corp.test --dry-run\n  recallctl forget anna@corp.test --yes --reason \"case 17\""},
	"fsck": {"Look for damage in the whole store, and repair it on request",
		"Look at everything in the store for what does not fit together. It can run while daemons work.\n\n" +
			"Exit codes: 0 nothing is left to fix; 1 something is; " + storeCodes,
		"  recallctl fsck\n  recallctl fsck --repair"},
	"key": {"Make, rotate and check seal keys", "Work with the keys that seal held mail " +
		"(/usr/share/doc/recall-milter/docs/sealing.md).\n\n" +
		"Exit codes: 0 done; 64 wrong command; 69 the store can't be reached; 77 not allowed, or a key is missing; " +
		"78 invalid config.",
		"  recallctl key new /etc/recall-milter/seal.keys\n  recallctl key status"},
	"key new": {"Make a key file with one key",
		"Make a key file with one key, for seal.key_file. An existing file stays as it is.\n\n" +
			"Exit codes: 0 made; 64 wrong command; 77 not allowed.",
		"  recallctl key new /etc/recall-milter/seal.keys\n  recallctl key new seal.keys"},
	"key rotate": {"Put a new key at the front of seal.key_file: it seals, the others still open",
		"Put a new key at the front of seal.key_file. Reload all daemons afterwards.\n\n" +
			"Exit codes: 0 done; 64 wrong command; 77 not allowed; 78 invalid config.",
		"  recallctl key rotate\n  recallctl -c /etc/recall-milter/recall-milter.toml key rotate"},
	"key status": {"Show which key seals, and how many messages each one opens",
		"Show which key seals, and how many messages each one opens.\n\n" +
			"Exit codes: 0 all can be opened; 77 a key is missing, or not allowed; " +
			"64 wrong command; 69 the store can't be reached; 78 invalid config.",
		"  recallctl key status\n  recallctl --json key status"},
	"token": {"Make, list and revoke tokens for the API", "Work with the tokens by which programs use the API " +
		"(docs/api.md).\n\nExit codes: 0 done; 1 the token does not exist; " + storeCodes,
		"  recallctl token new crm --scope read\n  recallctl token list"},
	"token new": {"Make a token, and print it once",
		"Make a token for a program, and print it. It is shown only once: the store keeps a hash of it. Without --for it " +
			"speaks for the site: it sees, and with the scope act changes, everybody's mail. With --for each call names a " +
			"login, and has exactly the rights of that sender.\n\nExit codes: 0 made; " + storeCodes,
		"  recallctl token new helpdesk --scope act --expires 90d\n" +
			"  recallctl token new webmail --scope act --for '*@corp.test'"},
	"token list": {"List the tokens: names, scopes and when they end",
		"List the tokens. The tokens themselves are kept nowhere.\n\nExit codes: 0 listed; " + storeCodes,
		"  recallctl token list\n  recallctl --json token list"},
	"token revoke": {"Revoke a token: it is not valid any more, on all gateways",
		"Revoke a token, on all gateways of the store at once.\n\n" +
			"Exit codes: 0 revoked; 1 the token does not exist; " + storeCodes,
		"  recallctl token revoke webmail\n  recallctl token revoke helpdesk"},
	"correspondents": {"Export, import and forget who has written to whom",
		"Work with the memory of correspondents, which the conditions first_contact and lookalike ask (docs/rules.md). It " +
			"has hashes of addresses, and no addresses.\n\nExit codes: 0 done; 1 nothing matched; " + storeCodes,
		"  recallctl correspondents import /var/log/mail.log\n  recallctl correspondents forget anna@corp.test"},
	"correspondents export": {"Write all pairs, for another store of the same gateway secret",
		"Write all pairs of people and their contacts as JSON lines: hashes, and the day of the last mail. Only a store " +
			"with the same gateway secret can use them.\n\nExit codes: 0 written; " + storeCodes,
		"  recallctl correspondents export > pairs.json\n  recallctl correspondents export | gzip > pairs.json.gz"},
	"correspondents import": {"Learn from mail logs, or from an export",
		"Learn who has written to whom from logs of Postfix or Sendmail, or from an export. Of a log, deliveries count " +
			"between outbound.local_domains and others, within hold.remember. A log of two weeks or more ends the time in " +
			"which a new store only learns.\n\nExit codes: 0 learned; " + storeCodes,
		"  recallctl correspondents import /var/log/mail.log.1 /var/log/mail.log\n" +
			"  recallctl correspondents import - < /var/log/mail.log"},
	"correspondents forget": {"Forget the correspondents of a person",
		"Forget all pairs of a person: to whom they have written, and who has written to them. The address can also be " +
			"that of a contact.\n\nExit codes: 0 forgotten, or counted; 1 nothing is remembered of the address; " + storeCodes,
		"  recallctl correspondents forget anna@corp.test --dry-run\n  recallctl correspondents forget anna@corp.test"},
	"link": {"Print the link to the page of a message",
		"Print the link by which a sender sees a message on the page, and can take it back. Whoever has the link can do " +
			"so, without signing in: give it only to the sender.\n\nExit codes: 0 printed; 1 nothing matched; " + storeCodes,
		"  recallctl link 32VWE3H4VYYPX\n  recallctl link \"<6f2c@corp.test>\""},
	"list": {"List what is held, soonest due first",
		"List what is held, soonest due first. REFs, or filters and --state, choose; -q gives IDs for another command.\n\n" +
			"Exit codes: 0 listed, also when nothing is held; 1 nothing matched; " + storeCodes,
		"  recallctl list --sender @corp.test\n  recallctl list --state released,recalled --since yesterday\n  recallctl " +
			"list --state all -n 20"},
	"pause": {"Stop the releases of all gateways on this store; holding and recalling continue",
		"Stop the releases of all gateways on this store. Mail that is being sent at this moment still leaves.\n\n" +
			"Exit codes: 0 paused; " + storeCodes,
		"  recallctl pause --reason \"virus in list.doc\"\n  recallctl pause"},
	"resume": {"Release again, the longest overdue first",
		"Let all gateways release again, the longest overdue first.\n\n" +
			"Exit codes: 0 releases continue, or were not paused; " + storeCodes,
		"  recallctl resume\n  recallctl resume --reason \"list.doc is recalled\""},
	"policy": {"Say what the inbound policy makes of a recall command",
		"Judge a recall command by the inbound policy. Nothing is changed.\n\n" +
			"Exit codes: those of recallctl policy test.",
		policyExamples},
	"policy test": {"Judge a mail as if it came in now, line by line; - reads it from standard input",
		"Judge a mail as if it came in now, and say why. Nothing is changed.\n\n" +
			"Exit codes: 0 the recall would pass; 1 it would recall nothing; " +
			"64 wrong command; 69 it could not be checked; 77 it would be refused; 78 invalid config.",
		policyExamples},
	"show": {"Show a message: envelope, header, timeline, each recipient's result",
		"Show all that is known of a message: its envelope and header, what happened when, and each recipient's result.\n\n" +
			"Exit codes: 0 shown; 1 nothing matched; " + storeCodes,
		"  recallctl show 32VWE3H4VYYPX\n  recallctl show --subject \"*price list*\""},
	"retract": {"Take delivered messages out of your users' mailboxes",
		"Take messages that came in out of the mailboxes of your users, whether they were read or not, and move them to " +
			"the trash there. Message-IDs or filters choose among what is remembered (inbound.remember). What matches is " +
			"shown first. The daemons do the work, each mailbox gets one outcome, and an interrupted command changes " +
			"nothing about that. --undo moves messages back, unread if they were, and stops what is not begun.\n\n" +
			"Exit codes: 0 each mailbox has an outcome; 1 nothing matched; 2 some mailboxes could not be done; " + storeCodes,
		"  recallctl retract --sender @evil.test --since 2h --dry-run\n" +
			"  recallctl retract \"<6f2c@evil.test>\" --yes --reason phishing\n" +
			"  recallctl retract --undo 33ABZTBXRDH6J"},
	"stats": {"Show counts by state, size, the oldest message and the latest delay",
		"Show how many messages are in which state, how much room they take, and how late the releases are.\n\n" +
			"Exit codes: 0 shown; " + storeCodes,
		"  recallctl stats\n  recallctl --json stats"},
	"test": {"Say which rule a message would meet, and why; - reads it from standard input",
		"Say which rule a message would meet, and why. Nothing is held or sent. Without --sender the address in From is " +
			"taken.\n\n" +
			"Exit codes: 0 said; 64 wrong command; 77 not allowed; 78 invalid config.",
		"  recallctl test mail.eml --sender ceo@corp.test --recipient x@far.test --at \"2026-12-24 09:00\"\n" +
			"  recallctl test - --login press-1 --sender a@corp.test --recipient b@far.test <mail.eml"},
	"watch": {"Show a live table with countdown; q or Ctrl-C ends it",
		"Show what waits, with a countdown, until q is typed. With --json each change is a line.\n\n" +
			"Exit codes: 0 ended by q; 130 by Ctrl-C; " + storeCodes,
		"  recallctl watch\n  recallctl --json watch --sender @corp.test"},
	"recall": {"", "Take messages back before they leave. Recalling a recalled message is success. " +
		"Of one that has left,\ngiven by its REF, the mail systems of its recipients are asked to take it back.\n\n" +
		"Exit codes: 0 all are recalled; 1 nothing matched; 2 some were too late; " + storeCodes,
		"  recallctl recall 32VWE3H4VYYPX --reason \"wrong list\"\n" +
			"  recallctl recall --sender mallory@corp.test --yes"},
	"release": {"", "Send messages now.\n\n" +
		"Exit codes: 0 all are due now; 1 nothing matched; 2 some were too late, or could not be sent; " + storeCodes,
		"  recallctl release 32VWE3H4VYYPX\n  recallctl release --all --yes --via sendmail"},
	"extend": {"", "Hold messages for longer.\n\n" +
		"Exit codes: 0 all wait longer; 1 nothing matched; 2 some were too late; " + storeCodes,
		"  recallctl extend 32VWE3H4VYYPX --for 10m\n  recallctl extend --sender @corp.test --for 1h --yes"},
	"restore": {"", "Undo the last recall: the message waits its whole grace again.\n\n" +
		"Exit codes: 0 all wait again; 1 nothing matched; 2 some were too late; " + storeCodes,
		"  recallctl restore 32VWE3H4VYYPX\n  recallctl restore --subject \"*list.doc*\" --yes"},
}

// explain gives each verb below cmd its help; path is that of cmd.
func explain(cmd *cobra.Command, path string) {
	for _, verb := range cmd.Commands() {
		name := path + verb.Name()
		if h, ok := helps[name]; ok {
			verb.Long, verb.Example = h.long, h.example
			if h.short != "" {
				verb.Short = h.short
			}
		}
		explain(verb, name+" ")
	}
}
