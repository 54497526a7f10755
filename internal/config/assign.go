package config

import (
	"reflect"
	"strconv"

	"github.com/pelletier/go-toml/v2/unstable"
)

// set gives v the value of a node; path names it in problems.
func (s *source) set(v reflect.Value, path string, n *unstable.Node) {
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	severalValues := v.Kind() == reflect.Map && n.Kind == unstable.InlineTable ||
		v.Kind() == reflect.Slice && n.Kind == unstable.Array
	if u := asText(v); u != nil && !severalValues {
		if s.want(path, n, unstable.String, "a string") {
			if err := u.UnmarshalText(n.Data); err != nil {
				s.problem(path, "%s: %v", path, err)
			}
		}
		return
	}
	switch v.Kind() {
	case reflect.String:
		if s.want(path, n, unstable.String, "a string") {
			v.SetString(string(n.Data))
		}
	case reflect.Bool:
		if s.want(path, n, unstable.Bool, "true or false") {
			v.SetBool(n.Data[0] == 't')
		}
	case reflect.Int:
		if s.want(path, n, unstable.Integer, "a number") {
			s.setInt(v, path, n)
		}
	case reflect.Slice:
		if s.want(path, n, unstable.Array, "a list, like [\"a\", \"b\"],") {
			s.setList(v, path, n)
		}
	case reflect.Struct, reflect.Map:
		if s.want(path, n, unstable.InlineTable, "a table, like { key = value },") {
			for it := n.Children(); it.Next(); {
				s.keyValue(v, path, it.Node())
			}
		}
	}
}

func (s *source) setInt(v reflect.Value, path string, n *unstable.Node) {
	i, err := strconv.ParseInt(string(n.Data), 0, 32)
	if err != nil || i < 0 {
		s.problem(path, "%s: %s is out of range: use a whole number from 0 on", path, n.Data)
		return
	}
	v.SetInt(i)
}

// setList replaces the default by the list, element by element.
func (s *source) setList(v reflect.Value, path string, n *unstable.Node) {
	v.Set(reflect.MakeSlice(v.Type(), 0, 4))
	for it := n.Children(); it.Next(); {
		e := it.Node()
		if e.Kind == unstable.Comment {
			continue
		}
		element := join(path, strconv.Itoa(v.Len()))
		s.places[element] = s.places[path]
		if e.Raw.Length > 0 {
			s.places[element] = int(e.Raw.Offset)
		}
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
		s.set(v.Index(v.Len()-1), element, e)
	}
}

// want says whether the node is of a kind, and notes the problem if not.
func (s *source) want(path string, n *unstable.Node, kind unstable.Kind, words string) bool {
	if n.Kind != kind {
		s.problem(path, "%q must be %s and is %s", path, words, kindName(n.Kind))
	}
	return n.Kind == kind
}

// kindName names a kind of value in an administrator's words.
func kindName(k unstable.Kind) string {
	switch k {
	case unstable.String:
		return "a string"
	case unstable.Bool:
		return "true or false"
	case unstable.Integer, unstable.Float:
		return "a number"
	case unstable.Array:
		return "a list"
	case unstable.InlineTable:
		return "a table"
	}
	return "a date or time"
}
