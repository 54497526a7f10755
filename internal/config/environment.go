package config

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// variable begins the names of environment variables that set keys: RECALL_MILTER_HOLD_GRACE sets hold.grace, over the
// file. No key holds a secret itself (they name files), so none stands in the environment.
const variable = "RECALL_MILTER_"

// variableOf returns the name of the variable for a key.
func variableOf(path string) string {
	return variable + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// environment sets what the variables say, in the order of their names; one that sets no key is a problem.
func (s *source) environment(c *Config, environ []string) {
	settable := map[string]string{} // path of each variable
	fields := map[string]reflect.Value{}
	leaves(reflect.ValueOf(c).Elem(), "", func(path string, v reflect.Value) {
		settable[variableOf(path)], fields[path] = path, v
	})
	slices.Sort(environ)
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, variable) {
			continue
		}
		path, ok := settable[name]
		if !ok {
			s.fromEnv[name] = name
			s.problem(name, "it sets no key: the name is %sTABLE_KEY, like %s for redis.addresses, and rules belong in the "+
				"file", variable, variableOf("redis.addresses"))
			continue
		}
		s.fromEnv[path] = name
		c.Environment = append(c.Environment, path)
		s.setText(fields[path], path, value)
	}
}

// leaves calls f for every key that has one value or a list of words.
func leaves(v reflect.Value, path string, f func(path string, v reflect.Value)) {
	for i := range v.NumField() {
		field, key := v.Field(i), v.Type().Field(i).Tag.Get("toml")
		switch {
		case key == "":
		case field.Kind() == reflect.Struct && asText(field) == nil:
			leaves(field, join(path, key), f)
		case field.Kind() != reflect.Slice || field.Type().Elem().Kind() == reflect.String:
			f(join(path, key), field)
		}
	}
}

// setText gives v the value that a variable has; a list is written with commas.
func (s *source) setText(v reflect.Value, path, text string) {
	if u := asText(v); u != nil {
		s.is(path, u.UnmarshalText([]byte(text)))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		s.demand(path, text == "true" || text == "false", strconv.Quote(text)+" must be true or false")
		v.SetBool(text == "true")
	case reflect.Int:
		n, err := strconv.ParseInt(text, 10, 32)
		s.demand(path, err == nil && n >= 0, strconv.Quote(text)+" must be a whole number from 0 on")
		v.SetInt(n)
	case reflect.Slice:
		list := []string{}
		for _, word := range strings.Split(text, ",") {
			if word = strings.TrimSpace(word); word != "" {
				list = append(list, word)
			}
		}
		v.Set(reflect.ValueOf(list).Convert(v.Type()))
	}
}
