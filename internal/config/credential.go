package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// credential begins the value of a *_file key that names a credential of systemd (LoadCredential=,
// SetCredentialEncrypted=) in place of a path.
const credential = "credential:"

// unitCredentials is where systemd keeps the credentials of our running unit: recallctl, which is not the unit, finds
// them there when root calls it.
const unitCredentials = "/run/credentials/recall-milter.service"

// credentials replaces the names of credentials by their paths. folder is $CREDENTIALS_DIRECTORY.
func (c *Config) credentials(s *source, folder string) {
	if folder == "" {
		folder = unitCredentials
	}
	leaves(reflect.ValueOf(c).Elem(), "", func(path string, v reflect.Value) {
		name, ok := "", false
		if strings.HasSuffix(path, "_file") {
			name, ok = strings.CutPrefix(v.String(), credential)
		}
		if !ok {
			return
		}
		if err := checkCredential(folder, name); err != nil {
			s.problem(path, "%s: %v", path, err)
		}
		v.SetString(filepath.Join(folder, name))
	})
}

func checkCredential(folder, name string) error {
	if name == "" || strings.ContainsAny(name, "/\x00") || strings.HasPrefix(name, ".") {
		return fmt.Errorf("%q names no credential: use a value like \"credential:redis\"", credential+name)
	}
	if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
		return fmt.Errorf("no credential %s: add LoadCredential=%s:/path to the unit (%w)", name, name, err)
	}
	return nil
}
