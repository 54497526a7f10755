package milter

import (
	"fmt"
	"strings"

	"github.com/recall-milter/recall-milter/milter/internal/wire"
)

// Bounds of the macros that one connection may define; real MTAs send about twenty short ones.
const (
	maxMacros     = 100
	maxMacroBytes = 64 << 10 // of all names and values
)

var errMacros = fmt.Errorf("the MTA defines more than %d macros, or %d bytes of them", maxMacros, maxMacroBytes)

// macro takes a D frame: the code of a stage, then names and values. Macros are merged: each stage adds to what
// earlier ones said.
func (s *session) macro(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	pairs := wire.Strings(data[1:])
	for i := 0; i+1 < len(pairs); i += 2 {
		name, value := strings.Trim(pairs[i], "{}"), pairs[i+1]
		old, known := s.macros[name]
		bytes := s.macroBytes + len(value) - len(old)
		if !known {
			bytes += len(name)
		}
		if !known && len(s.macros) == maxMacros || bytes > maxMacroBytes {
			return errMacros // without all of them a login might be missing
		}
		s.macros[strings.Clone(name)], s.macroBytes = strings.Clone(value), bytes // without the rest of the frame
	}
	return nil
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
		if value, known := s.macros[name]; known {
			s.macroBytes -= len(name) + len(value)
			delete(s.macros, name)
		}
	}
}
