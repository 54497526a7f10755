package sanitize

import "testing"

func TestWhatOthersTypedIsHarmlessAtItsTarget(t *testing.T) {
	const typed = "a\r\nBcc: x; \x1b[2J\u202eö\xff\"()"
	for name, c := range map[string]struct{ got, want string }{
		"header value":  {HeaderValue(typed), "a  Bcc: x;  [2J\u202eö?\"()"},
		"trace word":    {TraceWord(typed), "a??Bcc:?x???[2J\u202eö\ufffd\"??"},
		"no trace word": {TraceWord(""), "unknown"},
		"parameter":     {Parameter(typed, 100), "a??Bcc: x? ?[2J???\"()"},
		"a long one":    {Parameter("aöc", 2), "a?"},
		"server reply":  {ServerReply(typed), "aBcc: x; [2J\u202eö?\"()"},
		"log value":     {LogValue(typed), `a\r\nBcc: x; \x1b[2J\u202eö\xff"()`},
		"terminal text": {TerminalText(typed), `a\x0d` + "\n" + `Bcc: x; \x1b[2J\u202eö` + "\ufffd" + `"()`},
		"terminal cell": {TerminalCell(typed), `a\x0d\x0aBcc: x; \x1b[2J\u202eö` + "\ufffd" + `"()`},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", name, c.got, c.want)
		}
	}
}
