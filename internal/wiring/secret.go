package wiring

import (
	"encoding/base64"
	"fmt"
	"os"
	"strings"
)

// Secret reads a secret file.
func Secret(file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("secret_file: %w", err)
	}
	secret, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(secret) != 32 {
		return nil, fmt.Errorf("secret_file: %s must hold 32 bytes in base64; make one with: openssl rand -base64 32", file)
	}
	return secret, nil
}
