package criteria

import (
	"testing"
	"time"
)

func TestAMomentIsReadAsPeopleWriteIt(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 3, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{"90m": "2026-05-03T10:30:00Z", "5d ago": "2026-04-28T12:00:00Z",
		"yesterday": "2026-05-02T00:00:00Z", "09:30": "2026-05-03T09:30:00Z", "2026-05-01": "2026-05-01T00:00:00Z",
		"2026-05-01T08:00:00+02:00": "2026-05-01T06:00:00Z"} {
		if got, err := Moment(text, now); err != nil || got.UTC().Format(time.RFC3339) != want {
			t.Errorf("%q: %v %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"soon", "-", "25:00", "2026-13-01", "\x00"} {
		if at, err := Moment(text, now); err == nil {
			t.Errorf("%q is %v", text, at)
		}
	}
}

func TestAnAddressIsReadAsPeoplePasteIt(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"<a@b.test> ": "a@b.test", "@b.test": "*@b.test", "<>": "<>", "a*": "a*"} {
		if got := Address(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
