package main

import (
	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/maillog"
)

// acted writes into the mail log what was done to a hold; nil: to all of the store. Where no syslog runs only the audit
// trail has it.
func (a *act) acted(h *holdstore.Hold, verb string) {
	if a.mailLog == nil {
		var err error
		if a.mailLog, err = maillog.Syslog("recallctl", a.syslog); err != nil {
			a.mailLog = maillog.Silent()
		}
	}
	a.mailLog.Acted(h, verb, a.who(), a.only...)
}

// logVerb names an act in the mail log: "release" there is the daemon's, which has sent a message.
func logVerb(verb string) string {
	if verb == "release" || verb == "drain" {
		return "release-now"
	}
	return verb
}
