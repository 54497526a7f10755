package milter

import (
	"net/netip"
	"regexp"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/policy"
)

// maxTrace is the longest Received field that is read, in bytes; those of MTAs have about 200.
const maxTrace = 4 << 10

// hop is what a Received field says (RFC 5321 section 4.4): from whom, by which host, and how.
var hop = regexp.MustCompile(`(?is)^\s*from\s(.*?)\sby\s+(\S+)(\s.*)?$`)

var (
	bracketed = regexp.MustCompile(`\[(?:IPv6:)?([0-9A-Fa-f:.]+)\]`)
	withName  = regexp.MustCompile(`(?i)\swith\s+(\S+)`)
)

// origin returns the client from outside who handed this gateway a message that now comes from the gateway itself. A
// content filter hands back on loopback what came in, and that is not outbound; fetchmail does the same. ok is false
// for all else: a message that this gateway has not seen, that a user submitted by a login, or that began on this
// machine.
//
// The fields are believed although anybody can type them: whoever can connect from this machine without a login could
// as well use the re-injection port.
func origin(fields []policy.Field, gateway string) (client netip.Addr, ok bool) {
	looked := 0
	for _, f := range fields {
		if !holdstore.Same(f.Name, "Received") {
			continue
		}
		if looked++; looked > maxMarks {
			return client, false
		}
		m := hop.FindStringSubmatch(f.Value)
		if len(f.Value) > maxTrace || m == nil || gateway == "" || !holdstore.Same(strings.TrimSuffix(m[2], ";"), gateway) {
			continue
		}
		if with := withName.FindStringSubmatch(m[3]); strings.Contains(m[1]+m[3], "Authenticated sender") ||
			with != nil && strings.HasSuffix(strings.ToUpper(strings.TrimSuffix(with[1], ";")), "A") {
			return client, false
		}
		all := bracketed.FindAllStringSubmatch(m[1], -1)
		if len(all) == 0 {
			return client, false
		}
		address, err := netip.ParseAddr(all[len(all)-1][1])
		if err != nil {
			return client, false
		}
		if address = address.Unmap(); !address.IsLoopback() {
			return address, true
		}
	}
	return client, false
}
