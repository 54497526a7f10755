package authenticate

import "strings"

// Why says in a few words why nothing is aligned with From.
func (e Evidence) Why() string {
	var all []string
	for _, s := range e.DKIM {
		all = append(all, strings.TrimSpace("dkim="+s.Result+" "+s.Domain+" "+s.Reason))
	}
	if len(e.DKIM) == 0 {
		all = append(all, "no DKIM signature")
	}
	return strings.Join(append(all, "spf="+e.SPF+" "+e.SPFDomain), ", ")
}
