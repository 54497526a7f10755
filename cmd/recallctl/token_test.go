package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

func TestTokensAreListedByNameAndNeverShownAgain(t *testing.T) {
	t.Parallel()
	conf := filepath.Join(t.TempDir(), "conf.toml")
	text := fmt.Sprintf("[redis]\naddresses = [%q]\n", server.StartRedis(t).Addr)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctl := func(args ...string) (out string, code int) {
		var stdout, stderr bytes.Buffer
		code = run(t.Context(), append([]string{"-c", conf}, args...), strings.NewReader(""), &stdout, &stderr)
		return stdout.String() + stderr.String(), code
	}
	if out, code := ctl("token", "list"); code != 0 || !strings.Contains(out, "no token has been made") {
		t.Errorf("without a token: %d %s", code, out)
	}
	made, code := ctl("token", "new", "webmail", "--scope", "act", "--for", "*@corp.test", "--expires", "90d")
	if code != 0 {
		t.Fatalf("new: %d %s", code, made)
	}
	if out, code := ctl("token", "new", "crm", "--scope", "read"); code != 0 {
		t.Fatalf("new: %d %s", code, out)
	}
	out, code := ctl("token", "list")
	if code != 0 || !strings.Contains(out, "act") || !strings.Contains(out, "*@corp.test") ||
		strings.Index(out, "crm") > strings.Index(out, "webmail") || strings.Contains(out, strings.Fields(made)[0]) {
		t.Errorf("list: %d\n%s", code, out)
	}
	record := `"name":"webmail","scope":"act","for":["*@corp.test"]`
	if out, _ := ctl("--json", "token", "list"); !strings.Contains(out, record) {
		t.Errorf("as JSON: %s", out)
	}
	if out, code := ctl("token", "revoke", "crm"); code != 0 {
		t.Errorf("revoke: %d %s", code, out)
	}
	if out, _ := ctl("token", "list"); strings.Contains(out, "crm") {
		t.Errorf("after it: %s", out)
	}
}
