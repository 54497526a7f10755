package release

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
)

// xforward returns the commands that tell the port who submitted the message, with the attributes that it offers
// (Postfix XFORWARD_README). Two lines at most, since Postfix bounds their length at 512.
func (c *client) xforward(h *holdstore.Hold) []string {
	offered, ok := c.offers["XFORWARD"]
	if !ok || h == nil {
		return nil
	}
	attributes := strings.Fields(offered)
	var first, second strings.Builder
	add := func(b *strings.Builder, name, value string) {
		if slices.Contains(attributes, name) {
			fmt.Fprintf(b, " %s=%s", name, xtext(value))
		}
	}
	cl := h.Client
	source, port := "REMOTE", ""
	if cl.Address == "" {
		source = "LOCAL"
	}
	if cl.Port != 0 {
		port = strconv.Itoa(cl.Port)
	}
	add(&first, "NAME", cl.Name)
	add(&first, "ADDR", literal(cl.Address))
	add(&first, "PORT", port)
	add(&second, "PROTO", "ESMTP")
	add(&second, "HELO", cl.HELO)
	add(&second, "SOURCE", source)
	var lines []string
	for _, b := range []*strings.Builder{&first, &second} {
		if b.Len() > 0 {
			lines = append(lines, "XFORWARD"+b.String())
		}
	}
	return lines
}

// xtext encodes an attribute (RFC 1891 section 5); what is not known, or nonsense, is said to be unavailable.
func xtext(value string) string {
	if value == "" || value == "unknown" || len(value) > 255 {
		return "[UNAVAILABLE]"
	}
	var b strings.Builder
	for _, c := range []byte(value) {
		if c <= ' ' || c >= 0x7f || c == '+' || c == '=' {
			fmt.Fprintf(&b, "+%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
