package config

import "reflect"

// Reload returns the config of a daemon that runs with c and reads next: next's values of the keys that can change
// while it runs (tag reload), and c's of all others. waiting names the others that differ: they need a restart.
func (c *Config) Reload(next *Config) (now *Config, waiting []string) {
	merged := *next
	merged.Lists = c.Lists // files that are read already
	keep(reflect.ValueOf(&merged).Elem(), reflect.ValueOf(c).Elem(), "", &waiting)
	return &merged, waiting
}

// keep puts the values of old that can't change back into merged, and notes those that should have changed.
func keep(merged, old reflect.Value, path string, waiting *[]string) {
	for i := range merged.NumField() {
		tag := merged.Type().Field(i).Tag
		key, field, before := join(path, tag.Get("toml")), merged.Field(i), old.Field(i)
		switch {
		case tag.Get("toml") == "" || tag.Get("reload") == "yes":
		case field.Kind() == reflect.Struct && asText(field) == nil:
			keep(field, before, key, waiting)
		default:
			if !reflect.DeepEqual(field.Interface(), before.Interface()) && !bothEmpty(field, before) {
				*waiting = append(*waiting, key)
			}
			field.Set(before)
		}
	}
}

// bothEmpty says whether both are lists without entries: one that is left out and one that is written as [].
func bothEmpty(a, b reflect.Value) bool {
	return a.Kind() == reflect.Slice && a.Len() == 0 && b.Len() == 0
}
