package release

import (
	"strings"
)

// needs says which extension the port must offer for a parameter of MAIL or RCPT to be passed on.
var needs = map[string]string{"BODY": "8BITMIME", "SMTPUTF8": "SMTPUTF8", "RET": "DSN", "ENVID": "DSN",
	"NOTIFY": "DSN", "ORCPT": "DSN", "REQUIRETLS": "REQUIRETLS", "XVERP": "XVERP"}

// Parameters that the content of a message can imply.
const (
	eightBit      = "BODY=8BITMIME"
	international = "SMTPUTF8"
)

// parameters returns the ESMTP arguments that the port takes, verbatim. SIZE is the client's guess and AUTH is its
// login's: neither is for the port.
func (c *client) parameters(args []string) string {
	var b strings.Builder
	for _, arg := range args {
		if c.offersFor(arg) {
			b.WriteString(" " + arg)
		}
	}
	return b.String()
}

func (c *client) offersFor(arg string) bool {
	extension := needs[keyword(arg)]
	_, offered := c.offers[extension]
	return offered && extension != ""
}

// keyword is the name of an ESMTP argument, in upper case.
func keyword(arg string) string {
	name, _, _ := strings.Cut(strings.ToUpper(arg), "=")
	return name
}

// implied returns the parameters that the content implies, but for those that the sender gave.
func (c *client) implied(e envelope) string {
	var more []string
	for _, arg := range e.implied {
		if !e.from.HasArg(keyword(arg)) {
			more = append(more, arg)
		}
	}
	return c.parameters(more)
}

// missing says what the message can't do without (RFC 6531 section 3.5). A port without DSN or 8BITMIME gets the mail
// all the same; the demand REQUIRETLS can travel as a field.
func (c *client) missing(e envelope) error {
	if e.from.HasArg(international) && !c.offersFor(international) {
		return &refusal{450, "4.6.7 the re-injection port does not offer SMTPUTF8, which the message needs"}
	}
	return nil
}

// tlsDemand is the field that carries the ESMTP parameter REQUIRETLS over a hop without it. Postfix 3.11 adds it when
// it takes a message with the parameter, and detects it when the message comes back (requiretls_esmtp_header); the
// parameter itself is only offered after STARTTLS, which a port on loopback has no use for.
const tlsDemand = "Require-TLS-ESMTP"

// demand returns the field to add to a message that was submitted with REQUIRETLS; "" when its header has it.
func demand(header string) string {
	for header != "" {
		end := endOfField(header)
		name, value, _ := strings.Cut(header[:end], ":")
		if strings.EqualFold(strings.TrimRight(name, " \t"), tlsDemand) &&
			strings.EqualFold(strings.TrimSpace(value), "yes") {
			return ""
		}
		header = header[end:]
	}
	return tlsDemand + ": yes\r\n"
}

func ascii(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 }) }
