package wiring

import (
	"bytes"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/policy"
)

func TestNoLogObeysWhatASenderTyped(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		log, err := Log(config.Log{Level: "info", Format: format}, &out)
		if err != nil {
			t.Fatal(err)
		}
		log.Passed(holdstore.Submission{MessageID: "<\x7f\u009b2J\u202e\u2066\u200f@corp.test>",
			Sender: holdstore.Path{Address: "a\x1b[2J@corp.test"}}, policy.Reason{Text: "x"})
		if text := out.String(); strings.ContainsAny(text, "\x7f\x1b\u009b\u202e\u2066\u200f") ||
			!strings.Contains(text, `\u202e`) {
			t.Errorf("%s: %q", format, text)
		}
	}
}
