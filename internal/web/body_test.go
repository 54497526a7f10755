package web

import (
	"net/http"
	"strings"
	"testing"
)

// A body that can't be read is answered in words of JSON, with the name that is wrong.
func TestAWrongBodyIsExplainedWithoutOurTypes(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"reson": "x"}`:               `unknown name "reson"`,
		`{"Reason": "x"}`:              `unknown name "Reason"`,
		`{"reason": 1}`:                `the value at /reason has the wrong type`,
		`{"only": [1]}`:                `the value at /only/0 has the wrong type`,
		`[]`:                           `it has the wrong type`,
		`{"reason": "a"`:               `unexpected EOF`,
		`{"reason": "", "reason": ""}`: `duplicate object member name "reason"`,
	} {
		r, _ := http.NewRequestWithContext(t.Context(), "POST", "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		var to wish
		err := readBody(r, &to)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", body, err, want)
			continue
		}
		for _, ours := range []string{" Go ", "web.", "json:", "jsontext"} {
			if strings.Contains(err.Error(), ours) {
				t.Errorf("%s: %v", body, err)
			}
		}
	}
}
