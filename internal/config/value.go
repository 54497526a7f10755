package config

import (
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/policy"
)

// Duration is written as in Go, and in days: "2m", "24h", "5d".
type Duration time.Duration

// UnmarshalText reads a duration of zero or more.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := ParseDuration(string(text))
	*d = Duration(v)
	return err
}

const longest = 3650 * 24 * time.Hour

var (
	durationForm = regexp.MustCompile(`^([0-9.]+([mµun]?s|[mhd]))+$`)
	durationPart = regexp.MustCompile(`[0-9.]+([mµun]?s|[mhd])`)
)

// ParseDuration reads "0", "2m", "24h", "5d" or "1d12h", up to ten years.
func ParseDuration(s string) (sum time.Duration, err error) {
	if s == "0" {
		return 0, nil
	}
	invalid := fmt.Errorf("invalid duration %q: use a value like \"90s\", \"2m\", \"24h\" or \"5d\"", s)
	if !durationForm.MatchString(s) {
		return 0, invalid
	}
	for _, part := range durationPart.FindAllString(s, -1) {
		unit := time.Duration(1)
		if days, ok := strings.CutSuffix(part, "d"); ok {
			unit, part = 24, days+"h" // time.ParseDuration has no days
		}
		v, err := time.ParseDuration(part)
		if err != nil || v > longest/unit || sum > longest-v*unit {
			return 0, invalid
		}
		sum += v * unit
	}
	return sum, nil
}

// Grace is how long mail of a rule waits: a duration, a map from addresses to durations, "@NAME", or "until Mon 08:00".
type Grace struct {
	Duration
	Map   string         // its name; empty: there is none
	Until *policy.Moment // nil: there is none
}

// UnmarshalText reads a duration, the name of a map, or a moment.
func (g *Grace) UnmarshalText(text []byte) error {
	if name, ok := strings.CutPrefix(string(text), "@"); ok {
		g.Map = name
		return nil
	}
	if moment, ok := strings.CutPrefix(string(text), "until "); ok {
		until, err := policy.ParseMoment(moment)
		g.Until = &until
		return err
	}
	return g.Duration.UnmarshalText(text)
}

// Holds says whether mail could wait.
func (g *Grace) Holds() bool { return g.Duration > 0 || g.Map != "" || g.Until != nil }

// Size is a number of bytes, written "512", "64KB", "50MB" or "1GB".
type Size int64

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) error {
	number, factor := string(text), int64(1)
	for i, unit := range []string{"KB", "MB", "GB"} {
		if n, ok := strings.CutSuffix(number, unit); ok {
			number, factor = n, 1<<(10*(i+1))
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > (1<<50)/factor {
		return fmt.Errorf("invalid size %q: use a value like \"64KB\" or \"50MB\"", text)
	}
	*s = Size(n * factor)
	return nil
}

// SizeBound is a condition on a size, written ">5MB" or "<64KB"; zero values do not bound it.
type SizeBound struct{ Above, Below Size }

// UnmarshalText reads a bound.
func (b *SizeBound) UnmarshalText(text []byte) error {
	*b = SizeBound{}
	var err error
	switch {
	case strings.HasPrefix(string(text), ">"):
		err = b.Above.UnmarshalText(text[1:])
	case strings.HasPrefix(string(text), "<"):
		err = b.Below.UnmarshalText(text[1:])
	}
	if err != nil || *b == (SizeBound{}) {
		return fmt.Errorf("invalid condition on a size %q: use a value like \">5MB\" or \"<64KB\"", text)
	}
	return nil
}

// String is the bound in bytes.
func (b SizeBound) String() string {
	if b.Above > 0 {
		return fmt.Sprintf("above %d bytes", b.Above)
	}
	return fmt.Sprintf("below %d bytes", b.Below)
}

// CountBound is a condition on a number, written ">10" or "<3"; nil: no such bound.
type CountBound struct{ Above, Below *int }

// UnmarshalText reads a bound.
func (b *CountBound) UnmarshalText(text []byte) error {
	*b = CountBound{}
	n, err := strconv.ParseUint(strings.TrimLeft(string(text), "<>"), 10, 31)
	count := int(n)
	switch {
	case err != nil || len(text) < 2 || text[1] == '<' || text[1] == '>':
	case text[0] == '>':
		b.Above = &count
		return nil
	case text[0] == '<' && count > 0:
		b.Below = &count
		return nil
	}
	return fmt.Errorf("invalid condition on a number %q: use a value like \">10\" or \"<3\"", text)
}

// Rate is a number of events in a time.
type Rate struct {
	Count int
	Per   time.Duration
}

// UnmarshalText reads "60/h", "5/m" or "1000/d".
func (r *Rate) UnmarshalText(text []byte) error {
	count, unit, _ := strings.Cut(string(text), "/")
	n, err := strconv.Atoi(count)
	per := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[unit]
	if err != nil || n < 1 || per == 0 {
		return fmt.Errorf("invalid rate %q: use a value like \"60/h\", \"5/m\" or \"1000/d\"", text)
	}
	*r = Rate{n, per}
	return nil
}

// Mode is a file mode in octal.
type Mode os.FileMode

// UnmarshalText reads "0660".
func (m *Mode) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 8, 9)
	if err != nil {
		return fmt.Errorf("invalid file mode %q: use octal digits like \"0660\"", text)
	}
	*m = Mode(n)
	return nil
}

// ParseListen reads inet:port@host, inet:host:port, unix:/path or local:/path, as net.Listen wants it.
func ParseListen(s string) (network, address string, err error) {
	kind, rest, _ := strings.Cut(s, ":")
	switch {
	case (kind == "unix" || kind == "local") && strings.HasPrefix(rest, "/"):
		return "unix", rest, nil
	case kind == "inet" || kind == "inet6":
		if port, host, ok := strings.Cut(rest, "@"); ok {
			rest = "[" + strings.Trim(host, "[]") + "]:" + port
		}
		if checkHostPort(rest) == nil {
			return "tcp", rest, nil
		}
	}
	return "", "", fmt.Errorf("invalid address %q: use inet:port@host, inet:host:port, unix:/path, local:/path", s)
}

// checkHostPort takes host:port, with an IPv6 address in brackets.
func checkHostPort(s string) error {
	host, port, err := net.SplitHostPort(s)
	if n, bad := strconv.ParseUint(port, 10, 16); err == nil && bad == nil && n > 0 && host != "" &&
		!strings.ContainsAny(host, " /@") {
		return nil
	}
	return errors.New("use a value like \"127.0.0.1:10026\" or \"[::1]:10026\"")
}
