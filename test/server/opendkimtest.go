package server

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// OpenDKIMAccepts says whether OpenDKIM verifies a message with the keys in records, by their names, and what it says.
func OpenDKIMAccepts(t testing.TB, records map[string]string, message string) (ok bool, says string) {
	t.Helper()
	dir := t.TempDir()
	var keys strings.Builder
	for name, record := range records {
		keys.WriteString(name + " " + record + "\n")
	}
	conf, file := filepath.Join(dir, "conf"), filepath.Join(dir, "mail.eml")
	for name, text := range map[string]string{filepath.Join(dir, "keys"): keys.String(), file: message,
		conf: "Mode v\nSyslog no\nTestDNSData " + filepath.Join(dir, "keys") + "\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, _ := exec.Command("opendkim", "-x", conf, "-t", file, "-v", "-v").CombinedOutput()
	return strings.Contains(string(out), "succeeded"), string(out)
}
