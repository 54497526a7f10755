package main

import (
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/internal/config"
)

// layouts are the ways to write a moment, in local time unless it says otherwise.
var layouts = []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04",
	"2006-01-02 15:04", "2006-01-02"}

// moment reads a duration, which counts back from now, or a moment.
func moment(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := config.ParseDuration(strings.TrimSuffix(text, " ago")); err == nil {
		return now.Add(-ago), nil
	}
	if days, ok := map[string]int{"today": 0, "yesterday": -1}[text]; ok {
		return time.Date(now.Year(), now.Month(), now.Day()+days, 0, 0, 0, 0, now.Location()), nil
	}
	for _, layout := range layouts {
		if at, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return at, nil
		}
	}
	if at, err := time.ParseInLocation("15:04", text, now.Location()); err == nil {
		return time.Date(now.Year(), now.Month(), now.Day(), at.Hour(), at.Minute(), 0, 0, now.Location()), nil
	}
	return time.Time{}, usage("invalid --%s %q: write how long ago (\"90m\", \"5d\"), \"today\", \"yesterday\", "+
		"today's time (\"09:30\"), or a date (\"2026-05-01 09:30\")", flag, text)
}
