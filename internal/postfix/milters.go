package postfix

import "strings"

// Milter is one entry of smtpd_milters or non_smtpd_milters.
type Milter struct {
	Address string            // inet:host:port, unix:path
	Options map[string]string // of "{ address, name=value, ... }"
}

// Milters reads a list of milters: divided by commas or blanks, or in braces with settings of their own.
func Milters(list string) []Milter {
	var all []Milter
	for _, entry := range entries(list) {
		inner, braced := strings.CutPrefix(entry, "{")
		if !braced {
			all = append(all, Milter{Address: entry})
			continue
		}
		parts := entries(strings.TrimSuffix(inner, "}"))
		if len(parts) == 0 {
			continue
		}
		m := Milter{Address: parts[0], Options: map[string]string{}}
		for _, p := range parts[1:] {
			name, value, _ := strings.Cut(strings.Trim(p, "{} "), "=")
			m.Options[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
		all = append(all, m)
	}
	return all
}

// entries divides at commas and blanks that are not in braces.
func entries(list string) []string {
	var all []string
	depth, begin := 0, -1
	end := func(at int) {
		if begin >= 0 {
			all = append(all, list[begin:at])
		}
		begin = -1
	}
	for at, c := range list {
		switch {
		case depth == 0 && strings.ContainsRune(", \t\r\n", c):
			end(at)
			continue
		case c == '{':
			depth++
		case c == '}' && depth > 0:
			depth--
		}
		if begin < 0 {
			begin = at
		}
	}
	end(len(list))
	return all
}

// Option is a setting for one milter: its own, or milter_NAME of the service.
func (s *Service) Option(m Milter, name string) string {
	if v, ok := m.Options[name]; ok {
		return v
	}
	return s.Get("milter_" + name)
}
