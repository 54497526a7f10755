package authenticate

import (
	"fmt"
	"strings"
)

// Why says in a few words why nothing is aligned with From.
func (e Evidence) Why() string {
	var all []string
	if e.Bare != "" {
		all = append(all, "the signature does not cover "+e.Bare)
	}
	for _, s := range e.DKIM {
		reason, _, _ := strings.Cut(s.Reason, ": lookup ") // which resolver we have is nobody's business
		all = append(all, strings.TrimSpace("dkim="+s.Result+" "+s.Domain+" "+reason))
	}
	if len(e.DKIM) == 0 {
		all = append(all, "no DKIM signature")
	}
	if e.Unseen > 0 {
		all = append(all, fmt.Sprintf("%d DKIM signatures were not looked at", e.Unseen))
	}
	all = append(all, "spf="+e.SPF+" "+e.SPFDomain)
	if e.ARC.Result != "" {
		all = append(all, strings.TrimSpace("arc="+e.ARC.Result+" "+e.ARC.Domain+" "+e.ARC.Reason))
	}
	if e.Doubt != "" {
		all = append(all, e.Doubt)
	}
	return strings.Join(all, ", ")
}
