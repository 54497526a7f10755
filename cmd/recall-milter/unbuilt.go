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
	say(len(c.Inbound.Trust) > 0, "inbound.trust: what an earlier milter found is not believed, inbound.verify checks again")
	return all
}
