package milter

import (
	"strings"

	"github.com/recall-milter/recall-milter/milter/internal/wire"
)

// Bounds of the macros that one connection may define; real MTAs send about twenty short ones.
const (
	maxMacros = 100
	maxMacro  = 64 << 10
)

// macro takes a D frame: the code of a stage, then names and values. Macros are merged: each stage adds to what
// earlier ones said.
func (s *session) macro(data []byte) {
	if len(data) == 0 {
		return
	}
	pairs := wire.Strings(data[1:])
	for i := 0; i+1 < len(pairs); i += 2 {
		name, value := strings.Trim(pairs[i], "{}"), pairs[i+1]
		if _, known := s.macros[name]; (known || len(s.macros) < maxMacros) && len(name)+len(value) <= maxMacro {
			s.macros[name] = value
		}
	}
}

func (s *session) macroOr(name, otherwise string) string {
	if v := s.macros[name]; v != "" {
		return v
	}
	return otherwise
}

// forgetMacros drops the macros of one message; those of the connection stay.
func (s *session) forgetMacros() {
	for _, name := range []string{"i", "auth_authen", "auth_type", "mail_addr"} {
		delete(s.macros, name)
	}
}
