// Package criteria reads what people type to select messages: the flags of recallctl, and the fields of the operators'
// page.
package criteria

import (
	"errors"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/internal/config"
)

// layouts are the ways to write a moment, in local time unless it says otherwise.
var layouts = []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04",
	"2006-01-02 15:04", "2006-01-02"}

// ErrMoment says that a text is not a moment, and what is one.
var ErrMoment = errors.New("write how long ago (\"90m\", \"5d\"), \"today\", \"yesterday\", " +
	"today's time (\"09:30\"), or a date (\"2026-05-01 09:30\")")

// Moment reads a duration, which counts back from now, or a moment; the zero time for "".
func Moment(text string, now time.Time) (time.Time, error) {
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
	return time.Time{}, ErrMoment
}

// Address reads an address as people paste it: "<a@b>" is a@b, and "@b" is everybody at b. "<>" is the null sender.
func Address(text string) string {
	text = strings.TrimSpace(text)
	if inner, ok := strings.CutPrefix(text, "<"); ok && text != "<>" {
		text = strings.TrimSuffix(inner, ">")
	}
	if strings.HasPrefix(text, "@") {
		return "*" + text
	}
	return text
}
