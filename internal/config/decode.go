package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// source is a file that is being read: where each key and value stands, and what is wrong with it. Paths name
// them: "hold.grace", "hold.rule.0.sender.1".
type source struct {
	name     string
	text     []byte
	parser   unstable.Parser
	places   map[string]int    // offset of each value
	fromEnv  map[string]string // the variable that set a value in place of the file
	tables   map[string]bool
	problems Problems
	broken   bool // the rest could not be read
}

func newSource(name string, text []byte) *source {
	return &source{name: name, text: text, places: map[string]int{}, fromEnv: map[string]string{},
		tables: map[string]bool{}}
}

// problem notes what is wrong with the value at path, or with the whole file when the file lacks it.
func (s *source) problem(path, format string, args ...any) {
	p := s.at(path, fmt.Sprintf(format, args...))
	if p.Line == 0 {
		s.problems = append(s.problems, p)
		return
	}
	s.insert(p)
}

// at finds the place of the value at path: a variable, a line, or the file as a whole.
func (s *source) at(path, text string) Problem {
	if name := s.variable(path); name != "" {
		return Problem{File: "environment variable " + name, Text: text, Key: path}
	}
	offset, ok := s.places[path]
	if !ok {
		if path != "" && !strings.HasPrefix(text, path) {
			text = path + ": " + text
		}
		return Problem{File: s.name, Text: text, Key: path}
	}
	return s.line(offset, text)
}

// variable returns the variable that set the value at path, or the list that it is in.
func (s *source) variable(path string) string {
	if name, ok := s.fromEnv[path]; ok {
		return name
	}
	return s.fromEnv[path[:max(strings.LastIndexByte(path, '.'), 0)]]
}

func (s *source) problemAt(offset int, format string, args ...any) {
	s.insert(s.line(offset, fmt.Sprintf(format, args...)))
}

// line is a problem with the line at offset.
func (s *source) line(offset int, text string) Problem {
	before := string(s.text[:offset])
	start := strings.LastIndexByte(before, '\n') + 1
	line, _, _ := strings.Cut(string(s.text[start:]), "\n")
	return Problem{File: s.name, Line: strings.Count(before, "\n") + 1, Column: offset - start + 1,
		Text: text, Source: strings.TrimRight(line, "\r"), Key: keyAt(before[:start], line)}
}

// insert notes a problem in the order of the lines, though checks of values come after the last line was read.
func (s *source) insert(p Problem) {
	at := len(s.problems)
	for at > 0 && (s.problems[at-1].Line > p.Line || s.problems[at-1].Line == p.Line &&
		s.problems[at-1].Column > p.Column) {
		at--
	}
	s.problems = slices.Insert(s.problems, at, p)
}

// decode fills c; what is wrong goes to problems, and reading goes on behind it. Only TOML itself that can't be
// understood ends it.
func (s *source) decode(c *Config) {
	s.parser.Reset(s.text)
	root := reflect.ValueOf(c).Elem()
	table, path := root, ""
	for s.parser.NextExpression() {
		switch e := s.parser.Expression(); e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table, path = s.open(root, e)
		case unstable.KeyValue:
			if table.IsValid() {
				s.keyValue(table, path, e)
			}
		}
	}
	if err := s.parser.Error(); err != nil {
		s.broken = true
		var syntax *unstable.ParserError
		if offset := len(s.text); errors.As(err, &syntax) {
			if len(syntax.Highlight) > 0 {
				offset = int(s.parser.Range(syntax.Highlight).Offset)
			}
			s.problemAt(min(offset, len(s.text)), "invalid TOML: %s", syntax.Message)
		} else {
			s.problem("", "invalid TOML: %v", err)
		}
	}
}

// open finds the table of a header line; an invalid value stands for one that is unknown, and its keys are skipped.
func (s *source) open(root reflect.Value, e *unstable.Node) (reflect.Value, string) {
	v, path, keys := root, "", e.Key()
	for keys.Next() {
		key := keys.Node()
		if v = s.field(v, path, key); !v.IsValid() {
			return v, ""
		}
		path = join(path, string(key.Data))
		if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct {
			if keys.IsLast() && e.Kind == unstable.ArrayTable {
				v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
			}
			if v.Len() == 0 || keys.IsLast() && e.Kind == unstable.Table {
				s.problemAt(int(key.Raw.Offset), "%q is a list of tables: write [[%s]]", path, path)
				return reflect.Value{}, ""
			}
			path = join(path, strconv.Itoa(v.Len()-1))
			v = v.Index(v.Len() - 1)
		} else if v.Kind() != reflect.Map && (v.Kind() != reflect.Struct || asText(v) != nil) {
			s.problemAt(int(key.Raw.Offset), "%q must be a table", path)
			return reflect.Value{}, ""
		} else if e.Kind == unstable.ArrayTable && keys.IsLast() {
			s.problemAt(int(key.Raw.Offset), "%q is one table: write [%s]", path, path)
			return reflect.Value{}, ""
		}
		s.places[path] = int(key.Raw.Offset)
		if keys.IsLast() && s.tables[path] {
			s.problemAt(int(key.Raw.Offset), "the table [%s] is defined twice", path)
		}
	}
	s.tables[path] = true
	return v, path
}

// keyValue sets one key; dotted keys go through tables.
func (s *source) keyValue(table reflect.Value, path string, e *unstable.Node) {
	v, keys := table, e.Key()
	for keys.Next() {
		key := keys.Node()
		if v.Kind() == reflect.Map {
			s.entry(v, path, key, e.Value())
			return
		}
		if v = s.field(v, path, key); !v.IsValid() {
			return
		}
		path = join(path, string(key.Data))
		if keys.IsLast() {
			if s.tables[path] {
				s.problemAt(int(key.Raw.Offset), "%q is defined twice", path)
				return
			}
			s.tables[path], s.places[path] = true, int(key.Raw.Offset)
			s.set(v, path, e.Value())
		}
	}
}

// entry sets one entry of a map of strings.
func (s *source) entry(m reflect.Value, path string, key, value *unstable.Node) {
	path = join(path, string(key.Data))
	s.places[path] = int(key.Raw.Offset)
	if value.Kind != unstable.String {
		s.problem(path, "%q must be a string, and is %s", path, kindName(value.Kind))
		return
	}
	if m.IsNil() {
		m.Set(reflect.MakeMap(m.Type()))
	}
	m.SetMapIndex(reflect.ValueOf(string(key.Data)), reflect.ValueOf(string(value.Data)))
}

// field finds the struct field of a key.
func (s *source) field(v reflect.Value, path string, key *unstable.Node) reflect.Value {
	name := string(key.Data)
	if v.Kind() == reflect.Struct && asText(v) == nil {
		var known []string
		for i := range v.NumField() {
			tag := v.Type().Field(i).Tag.Get("toml")
			if tag == "" {
				continue // not of the file
			}
			if tag == name {
				return v.Field(i)
			}
			known = append(known, tag)
		}
		s.problemAt(int(key.Raw.Offset), "unknown key %q: allowed here are %s", join(path, name), strings.Join(known, ", "))
		return reflect.Value{}
	}
	s.problemAt(int(key.Raw.Offset), "%q must be a table", path)
	return reflect.Value{}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func asText(v reflect.Value) encoding.TextUnmarshaler {
	if v.CanAddr() {
		u, _ := v.Addr().Interface().(encoding.TextUnmarshaler)
		return u
	}
	return nil
}
