package wiring

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/recall-milter/recall-milter/internal/file"
)

// Secret reads a secret file.
func Secret(path string) ([]byte, error) {
	text, err := file.ReadSecret(path)
	if err != nil {
		return nil, fmt.Errorf("secret_file: %w", err)
	}
	secret, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(secret) != 32 {
		return nil, fmt.Errorf("secret_file: %s must hold 32 bytes in base64; make one with: openssl rand -base64 32", path)
	}
	return secret, nil
}
