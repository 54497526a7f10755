package post

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestASiteTranslatesATextAndHearsOfMistakes(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "refused.txt")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("Rückruf abgelehnt\n\nWarum: {{.Why}}\n")
	texts, err := ReadTexts(dir)
	if err != nil {
		t.Fatal(err)
	}
	subject, body, err := texts.write(english, "refused", letter{Why: "x\r\nBcc: evil@x.test"})
	if err != nil || subject != "Rückruf abgelehnt" || !strings.HasPrefix(body, "Warum: x") {
		t.Errorf("%v %q %q", err, subject, body)
	}
	if subject, _, err = texts.write(english, "recalled", letter{Subject: "a\r\nBcc: evil@x.test"}); err != nil ||
		strings.ContainsAny(subject, "\r\n") {
		t.Errorf("the subject %q, %v", subject, err)
	}
	for _, bad := range []string{"{{.Nothing}}", "{{if}}", "{{range .Rcpt}}{{.Bad}}{{end}}"} {
		write(bad)
		if _, err := ReadTexts(dir); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
