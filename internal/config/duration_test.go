package config

import (
	"testing"
	"time"
)

func TestDurationsAddUpTheirParts(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{"0": 0, "0s": 0, "90s": 90 * time.Second, "2h": 2 * time.Hour,
		"5d": 5 * day, "1h5d": 5*day + time.Hour,
		"1d12h": 36 * time.Hour, "1.5d": 36 * time.Hour, "1h30m": 90 * time.Minute, "250ms": 250 * time.Millisecond,
		"1d1d": 2 * day, "3650d": 3650 * day} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "d", "5", "-5d", "5x", "1h-5d", "3651d", "3650d1s", "99999999999999999999d", "1 d",
		"1..5d", "+1d"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}
