package main

import "github.com/recall-milter/recall-milter/internal/config"

// unbuilt says which settings of a config this version takes without acting on them: whoever set them must not believe
// that it does.
func unbuilt(c *config.Config) []string {
	var all []string
	say := func(set bool, what string) {
		if set {
			all = append(all, what)
		}
	}
	say(c.Recall.AfterRelease == "request", `recall.after_release = "request": the sender of a late recall is told that it is too late, and no gateway is asked`)
	say(len(c.Inbound.Trust) > 0, "inbound.trust: what an earlier milter found is not believed, inbound.verify checks again")
	say(c.Inbound.Recall.OnPass == "execute", `inbound.recall.on_pass = "execute": a genuine recall is vouched for, and nothing is taken back`)
	say(c.Inbound.Mailbox.Backend != "none", "inbound.mailbox: nothing is taken out of mailboxes")
	return all
}
