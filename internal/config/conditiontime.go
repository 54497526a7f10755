package config

import (
	"strings"

	"github.com/recall-milter/recall-milter/policy"
)

// Windows are parts of the week, written as one text or as a list.
type Windows []Window

// UnmarshalText reads one window.
func (w *Windows) UnmarshalText(text []byte) error {
	var one Window
	err := one.UnmarshalText(text)
	*w = Windows{one}
	return err
}

// Window is a part of the week, "Mon-Fri 08:00-18:00".
type Window struct{ policy.Window }

// UnmarshalText reads a window.
func (w *Window) UnmarshalText(text []byte) (err error) {
	w.Window, err = policy.ParseWindow(string(text))
	return err
}

// windows is a condition on the moment at which a message comes.
type windows struct{}

func windowsOf(v wanted) (all []policy.Window) {
	for _, w := range v.Interface().(Windows) {
		all = append(all, w.Window)
	}
	return all
}

func (windows) check(*Config, *source, string, wanted) {} // they are read as what they are

func (windows) conditions(c *Config, v wanted) ([]policy.Condition, error) {
	calendar, err := c.Calendar(v.rule)
	return []policy.Condition{policy.IfTime(windowsOf(v), calendar)}, err
}

func (windows) words(v wanted) string {
	var all []string
	for _, w := range windowsOf(v) {
		all = append(all, w.String())
	}
	return strings.TrimSpace(Some(all) + " " + v.rule.Zone)
}

func (windows) never(_ *Config, key string, v wanted) string {
	if policy.NoTime(windowsOf(v), len(v.rule.Holidays) > 0) {
		return key + " is for holidays only, and there are none: name them in holidays"
	}
	return ""
}

func (windows) always(v wanted) bool { return policy.AllTime(windowsOf(v), len(v.rule.Holidays) > 0) }

// joined compares windows of the same calendar only.
func (windows) joined(v wanted, others []wanted) bool {
	var all []policy.Window
	for _, other := range others {
		if !other.rule.sameCalendar(v.rule) {
			return false
		}
		all = append(all, windowsOf(other)...)
	}
	holidays := len(v.rule.Holidays) > 0
	if v.IsZero() {
		return policy.AllTime(all, holidays)
	}
	return policy.TimeWithin(windowsOf(v), all, holidays)
}

// within compares windows of the same calendar only.
func (windows) within(v, other wanted) bool {
	return v.rule.sameCalendar(other.rule) &&
		policy.TimeWithin(windowsOf(v), windowsOf(other), len(v.rule.Holidays) > 0)
}
