// Package config reads recall-milter.toml: strict, with the line of every unknown key.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// Config is the whole file. A table of the contract that nothing acts on yet is not taken: a site must not
// believe in a setting that does nothing.
type Config struct {
	Listen          []string `toml:"listen"`
	SocketMode      Mode     `toml:"socket_mode"`
	SocketGroup     string   `toml:"socket_group"`
	OnStoreFailure  string   `toml:"on_store_failure"`
	SecretFile      string   `toml:"secret_file"`
	RecordRetention Duration `toml:"record_retention"`
	Log             Log      `toml:"log"`
	Redis           Redis    `toml:"redis"`
	Outbound        Outbound `toml:"outbound"`
	Hold            Hold     `toml:"hold"`
	Release         Release  `toml:"release"`
	Recall          Recall   `toml:"recall"`
}

// Log is the table [log].
type Log struct {
	Level  string `toml:"level"`
	Format string `toml:"format"`
}

// Redis is the table [redis].
type Redis struct {
	Addresses      []string `toml:"addresses"`
	SentinelMaster string   `toml:"sentinel_master"`
	Username       string   `toml:"username"`
	PasswordFile   string   `toml:"password_file"`
	DB             int      `toml:"db"`
	Prefix         string   `toml:"prefix"`
	Durability     string   `toml:"durability"`
	Replicas       int      `toml:"replicas"`
	TLS            TLS      `toml:"tls"`
}

// TLS is how Redis is reached safely.
type TLS struct {
	Enabled    bool   `toml:"enabled"`
	CAFile     string `toml:"ca_file"`
	ServerName string `toml:"server_name"`
}

// Outbound is the table [outbound]: a session is outbound when any of it holds.
type Outbound struct {
	Authenticated bool     `toml:"authenticated"`
	Networks      []string `toml:"networks"`
	DaemonNames   []string `toml:"daemon_names"`
}

// Hold is the table [hold].
type Hold struct {
	Grace         Duration `toml:"grace"`
	MaxGrace      Duration `toml:"max_grace"`
	MaxSize       Size     `toml:"max_size"`
	RequestHeader string   `toml:"request_header"`
	Rules         []Rule   `toml:"rule"`
}

// Rule is one [[hold.rule]]: every condition named must match.
type Rule struct {
	Name      string   `toml:"name"`
	Sender    []string `toml:"sender"`
	Recipient []string `toml:"recipient"`
	Login     []string `toml:"login"`
	Grace     Duration `toml:"grace"`
}

// Release is the table [release].
type Release struct {
	SMTP        string `toml:"smtp"`
	Concurrency int    `toml:"concurrency"`
	Retry       Retry  `toml:"retry"`
}

// Retry says how long to wait between attempts, and until when.
type Retry struct {
	First       Duration `toml:"first"`
	Max         Duration `toml:"max"`
	GiveUpAfter Duration `toml:"give_up_after"`
}

// Recall is the table [recall].
type Recall struct {
	Retention Duration `toml:"retention"`
}

// Duration is written as in Go, and in days: "2m", "24h", "5d".
type Duration time.Duration

// UnmarshalText reads a duration of zero or more.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// ParseDuration reads "2m", "24h" or "5d".
func ParseDuration(s string) (time.Duration, error) {
	unit, number := time.Duration(1), s
	if days, ok := strings.CutSuffix(s, "d"); ok {
		unit, number = 24, days+"h"
	}
	v, err := time.ParseDuration(number)
	if err != nil || v < 0 || v > 3650*24*time.Hour/unit {
		return 0, fmt.Errorf("%q is no duration: allowed are values like \"90s\", \"2m\", \"24h\" or \"5d\"", s)
	}
	return v * unit, nil
}

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
		return fmt.Errorf("%q is no size: allowed are values like \"64KB\" or \"50MB\"", text)
	}
	*s = Size(n * factor)
	return nil
}

// Mode is a file mode in octal.
type Mode os.FileMode

// UnmarshalText reads "0660".
func (m *Mode) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 8, 9)
	if err != nil {
		return fmt.Errorf("%q is no file mode: allowed are three octal digits like \"0660\"", text)
	}
	*m = Mode(n)
	return nil
}

// Default returns the values of keys that a file leaves out.
func Default() *Config {
	d := func(t time.Duration) Duration { return Duration(t) }
	const day = 24 * time.Hour
	return &Config{
		Listen: []string{"inet:8890@127.0.0.1"}, SocketMode: 0o660, OnStoreFailure: "tempfail", RecordRetention: d(7 * day),
		Log:      Log{Level: "info", Format: "text"},
		Redis:    Redis{Addresses: []string{"127.0.0.1:6379"}, Prefix: "recall", Durability: "strict"},
		Outbound: Outbound{Authenticated: true, Networks: []string{"127.0.0.0/8", "::1/128"}, DaemonNames: []string{"ORIGINATING"}},
		Hold:     Hold{Grace: d(2 * time.Minute), MaxGrace: d(day), MaxSize: 50 << 20, RequestHeader: "X-Hold-For"},
		Release: Release{SMTP: "127.0.0.1:10026", Concurrency: 8,
			Retry: Retry{First: d(10 * time.Second), Max: d(10 * time.Minute), GiveUpAfter: d(5 * day)}},
		Recall: Recall{Retention: d(day)},
	}
}

// Load reads a file.
func Load(path string) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the config can't be read: %w", err)
	}
	return Parse(path, text)
}

// Parse reads the text of the file called name.
func Parse(name string, text []byte) (*Config, error) {
	c := Default()
	decoder := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := decoder.Decode(c); err != nil {
		return nil, located(name, err)
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// located says where in the file an error stands.
func located(name string, err error) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) {
		var all []error
		for _, e := range strict.Errors {
			row, column := e.Position()
			all = append(all, fmt.Errorf("%s:%d:%d: unknown key %q\n%s", name, row, column, strings.Join(e.Key(), "."), e.String()))
		}
		return errors.Join(all...)
	}
	var one *toml.DecodeError
	if errors.As(err, &one) {
		row, column := one.Position()
		return fmt.Errorf("%s:%d:%d: %s\n%s", name, row, column, strings.TrimPrefix(one.Error(), "toml: "), one.String())
	}
	return fmt.Errorf("%s: %w", name, err)
}

// check finds values that are of the right type and still make no sense; all of them at once.
func (c *Config) check() error {
	var all []error
	oneOf := func(key, value string, allowed ...string) {
		for _, a := range allowed {
			if value == a {
				return
			}
		}
		all = append(all, fmt.Errorf("%s = %q: allowed are %s", key, value, strings.Join(allowed, ", ")))
	}
	oneOf("on_store_failure", c.OnStoreFailure, "tempfail", "deliver")
	oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	oneOf("log.format", c.Log.Format, "text", "json")
	oneOf("redis.durability", c.Redis.Durability, "strict", "assumed", "relaxed")
	for _, l := range c.Listen {
		if _, _, err := ParseListen(l); err != nil {
			all = append(all, err)
		}
	}
	for _, n := range c.Outbound.Networks {
		if _, err := netip.ParsePrefix(n); err != nil {
			all = append(all, fmt.Errorf("outbound.networks: %q is no network: allowed are values like \"10.0.0.0/8\"", n))
		}
	}
	if len(c.Listen) == 0 || len(c.Redis.Addresses) == 0 || c.Release.Concurrency < 1 || c.Release.Retry.First <= 0 {
		all = append(all, errors.New("listen and redis.addresses must not be empty; release.concurrency and release.retry.first must be above 0"))
	}
	return errors.Join(all...)
}

// ParseListen reads inet:port@host, inet:host:port, unix:/path or local:/path, as net.Listen wants it.
func ParseListen(s string) (network, address string, err error) {
	kind, rest, _ := strings.Cut(s, ":")
	switch {
	case (kind == "unix" || kind == "local") && strings.HasPrefix(rest, "/"):
		return "unix", rest, nil
	case kind == "inet" || kind == "inet6":
		if port, host, ok := strings.Cut(rest, "@"); ok && port != "" && host != "" {
			return "tcp", "[" + strings.Trim(host, "[]") + "]:" + port, nil
		}
		if i := strings.LastIndexByte(rest, ':'); i > 0 {
			return "tcp", rest, nil
		}
	}
	return "", "", fmt.Errorf("listen: %q is no address: allowed are inet:port@host, inet:host:port, unix:/path, local:/path", s)
}
