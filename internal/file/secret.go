package file

import (
	"fmt"
	"io"
	"os"
)

// maxSecret bounds a file with a secret, in bytes.
const maxSecret = 64 << 10

// ReadSecret reads a file with a secret. It refuses one that everybody may read or write: the secret is none any more.
func ReadSecret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("%s is open to everybody: replace the secret in it, and chmod 0640 %s", path, path)
	}
	return io.ReadAll(io.LimitReader(f, maxSecret))
}
