package jsonline

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestWhatATerminalWouldObeyIsEscapedAndStaysTheSame(t *testing.T) {
	for text, want := range map[string]string{
		"plain für 日本 😀":     `"plain für 日本 😀"`,
		"del\x7f":            `"del\u007f"`,
		"c1\u009b2J\u0085":   `"c1\u009b2J\u0085"`,
		"bidi\u202e\u2066x":  `"bidi\u202e\u2066x"`,
		"marks\u200f\u061c":  `"marks\u200f\u061c"`,
		"tag\U000e0041":      `"tag\udb40\udc41"`,
		"esc\x1b[2J\r\n\x00": `"esc\u001b[2J\r\n\u0000"`,
		"invalid\xff":        "\"invalid\\ufffd\"",
	} {
		var out bytes.Buffer
		if err := json.NewEncoder(New(&out)).Encode(text); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); got != want+"\n" {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
		var back, plain string
		raw, _ := json.Marshal(text)
		json.Unmarshal(raw, &plain)
		if err := json.Unmarshal(out.Bytes(), &back); err != nil || back != plain {
			t.Errorf("%q is read as %q, %v", text, back, err)
		}
	}
}
