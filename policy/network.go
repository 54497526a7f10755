package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Networks is a list of networks; a leading "!" makes one an exclusion, as in Patterns.
type Networks struct {
	included, excluded []netip.Prefix
	texts              []string
}

// ParseNetworks reads a list; an error names the first network that is invalid.
func ParseNetworks(texts []string) (Networks, error) {
	n := Networks{texts: texts}
	for _, text := range texts {
		body, excludes := strings.CutPrefix(text, "!")
		p, err := netip.ParsePrefix(body)
		if err != nil {
			return Networks{}, fmt.Errorf("invalid network %q: use a value like \"10.0.0.0/8\" or \"2001:db8::/32\"; a "+
				"leading \"!\" excludes", text)
		}
		if excludes {
			n.excluded = append(n.excluded, p)
		} else {
			n.included = append(n.included, p)
		}
	}
	return n, nil
}

// Contains says whether a client is in the list. sendmail(1) has no client address, and is the gateway itself.
func (n Networks) Contains(client netip.Addr) bool {
	client = client.Unmap()
	if !client.IsValid() {
		client = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	holds := func(p netip.Prefix) bool { return p.Contains(client) }
	if slices.ContainsFunc(n.excluded, holds) {
		return false
	}
	return slices.ContainsFunc(n.included, holds) || len(n.included) == 0 && len(n.excluded) > 0
}

// Overlaps says whether an address could be in both lists.
func (n Networks) Overlaps(other Networks) bool {
	return slices.ContainsFunc(n.included, func(a netip.Prefix) bool {
		return slices.ContainsFunc(other.included, a.Overlaps)
	}) || n.OnlyExcludes() || other.OnlyExcludes()
}

// Empty says whether the list has no entry.
func (n Networks) Empty() bool { return len(n.texts) == 0 }

// OnlyExcludes says whether the list names nothing but what is not in it.
func (n Networks) OnlyExcludes() bool { return len(n.included) == 0 && len(n.excluded) > 0 }

// String is the list as it was written.
func (n Networks) String() string { return fmt.Sprint(n.texts) }
