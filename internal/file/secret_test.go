package file

import (
	"os"
	"path/filepath"
	"testing"
)

func TestASecretThatEverybodyMayReadIsNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	for mode, fine := range map[os.FileMode]bool{0o600: true, 0o640: true, 0o440: true, 0o644: false, 0o604: false,
		0o602: false, 0o601: false} {
		if err := os.WriteFile(path, []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		text, err := ReadSecret(path)
		if fine != (err == nil) || fine != (string(text) == "secret") {
			t.Errorf("%04o: %q, %v", mode, text, err)
		}
		os.Remove(path)
	}
	if _, err := ReadSecret(os.DevNull); err != nil { // where the environment says all
		t.Error(err)
	}
}
