package config

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/recall-milter/recall-milter/internal/lists"
	"github.com/recall-milter/recall-milter/internal/socketmap"
	"github.com/recall-milter/recall-milter/policy"
)

// checkPattern takes a pattern, and the name of a list whose file is there. What it says is found when it is read.
func (c *Config) checkPattern(v string) error {
	name, ok := listName(v)
	if !ok {
		_, err := policy.ParsePatterns([]string{v})
		return err
	}
	if lists.IsSocketmap(name) {
		return fmt.Errorf("%q: a socketmap is only possible in the conditions and the grace of [[hold.rule]]", v)
	}
	if _, err := os.Stat(c.Lists.Path(name)); err != nil || name == "" {
		return fmt.Errorf("the list %q is not there: %q is the file with one entry a line; for a domain use \"*@%s\"",
			v, c.Lists.Path(name), name)
	}
	return nil
}

// checkRulePattern also takes the name of a socketmap.
func (c *Config) checkRulePattern(v string) error {
	name, _ := listName(v)
	if !lists.IsSocketmap(name) {
		return c.checkPattern(v)
	}
	_, _, _, err := socketmap.Parse(name)
	return err
}

// listName is the name of the list that an entry of a list of patterns stands for.
func listName(pattern string) (string, bool) {
	return strings.CutPrefix(strings.TrimPrefix(pattern, "!"), "@")
}

// Graces returns the map of a rule; nil: its grace is the same for everybody.
func (c *Config) Graces(r *Rule) (policy.Graces, error) {
	if r.Grace == nil || r.Grace.Map == "" {
		return nil, nil
	}
	return c.Lists.Graces(r.Grace.Map, ParseDuration)
}

// FileNames are the names of all lists, of patterns and of dates, and maps of graces that are in files.
func (c *Config) FileNames() []string {
	all := c.ListNames()
	for _, r := range c.Hold.Rules {
		if r.Grace != nil && r.Grace.Map != "" && !lists.IsSocketmap(r.Grace.Map) {
			all = append(all, r.Grace.Map)
		}
		for _, day := range r.Holidays {
			if name, ok := listName(day); ok {
				all = append(all, name)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// ListNames are the names of all lists of patterns that the config names, each once.
func (c *Config) ListNames() []string {
	var all []string
	note := func(pattern string) {
		if name, ok := listName(pattern); ok && !lists.IsSocketmap(name) {
			all = append(all, name)
		}
	}
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch {
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				if v.Type().Field(i).Tag.Get("toml") != "" {
					walk(v.Field(i))
				}
			}
		case v.Type() == reflect.TypeFor[Dates]():
		case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.String:
			for i := range v.Len() {
				note(v.Index(i).String())
			}
		case v.Kind() == reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		}
	}
	walk(reflect.ValueOf(c).Elem())
	for _, r := range c.Hold.Rules {
		for _, pattern := range r.Header {
			note(pattern)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
