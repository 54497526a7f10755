// Package postfix reads Postfix's configuration as Postfix itself does, with postconf(1), and knows which lines a hold
// needs there.
package postfix

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// Config is what main.cf and master.cf of one folder say, defaults included.
type Config struct {
	Dir      string
	Services []*Service // in the order of master.cf

	main, raw map[string]string // with and without the values of $names
}

// Service is one line of master.cf.
type Service struct {
	Name, Type string // "127.0.0.1:10026", "inet"
	Private    bool   // of a unix service: only Postfix's own programs reach it
	Chroot     bool
	MaxProc    string // "-": default_process_limit
	Command    string // "smtpd"

	own, raw map[string]string // its -o settings
	config   *Config
}

// Read reads the configuration in dir. An error is one of postconf, or that there is none.
func Read(ctx context.Context, dir string) (*Config, error) {
	c := &Config{Dir: dir}
	for _, part := range []struct {
		args []string
		read func(string)
	}{
		{[]string{"-x"}, func(text string) { c.main = settings(text) }},
		{nil, func(text string) { c.raw = settings(text) }},
		{[]string{"-M"}, c.readServices},
		{[]string{"-P", "-x"}, func(text string) { c.readOwn(text, func(s *Service) map[string]string { return s.own }) }},
		{[]string{"-P"}, func(text string) { c.readOwn(text, func(s *Service) map[string]string { return s.raw }) }},
	} {
		text, err := run(ctx, "postconf", append([]string{"-c", dir}, part.args...)...)
		if err != nil {
			return nil, err
		}
		part.read(text)
	}
	return c, nil
}

// run runs one of Postfix's programs and returns its standard output.
func run(ctx context.Context, name string, args ...string) (string, error) {
	path, err := program(name)
	if err != nil {
		return "", err
	}
	var out, words bytes.Buffer
	c := exec.CommandContext(ctx, path, args...)
	c.Stdout, c.Stderr = &out, &words
	if err := c.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, lastLine(words.String()))
	}
	return out.String(), nil
}

// program finds a program of Postfix, also for a user whose path leaves the folders of administrators out.
func program(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, ErrNone)
}

// ErrNone says that Postfix is not installed here.
var ErrNone = errors.New("no Postfix is installed here")

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// settings reads lines of "name = value".
func settings(text string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(line, "="); ok {
			all[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	return all
}

// readServices reads what postconf -M says: name, type, private, unprivileged, chroot, wakeup, limit, command.
func (c *Config) readServices(text string) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 8 {
			continue
		}
		chroot := f[4] == "y" || f[4] == "-" && c.main["compatibility_level"] == "0"
		c.Services = append(c.Services, &Service{Name: f[0], Type: f[1], Private: f[2] != "n", Chroot: chroot,
			MaxProc: f[6], Command: f[7],
			own: map[string]string{}, raw: map[string]string{}, config: c})
	}
}

// readOwn reads what postconf -P says: name/type/parameter = value.
func (c *Config) readOwn(text string, of func(*Service) map[string]string) {
	for path, value := range settings(text) {
		for _, s := range c.Services {
			if name, ok := strings.CutPrefix(path, s.Name+"/"+s.Type+"/"); ok {
				of(s)[name] = value
			}
		}
	}
}

// Get returns a parameter's value; "" when there is none.
func (c *Config) Get(name string) string { return c.main[name] }

// Tables returns the tables that a parameter lists, as type:name.
func (c *Config) Tables(name string) []string { return entries(c.Get(name)) }

// Get returns a parameter's value in this service.
func (s *Service) Get(name string) string {
	if v, ok := s.own[name]; ok {
		return v
	}
	return s.config.main[name]
}

// Overrides says whether the service's own line sets a parameter.
func (s *Service) Overrides(name string) bool {
	_, ok := s.own[name]
	return ok
}

// Find returns the service of a name and type; nil: there is none.
func (c *Config) Find(name, kind string) *Service {
	for _, s := range c.Services {
		if s.Name == name && s.Type == kind {
			return s
		}
	}
	return nil
}

// Running returns the services that run a program: all "smtpd".
func (c *Config) Running(program string) []*Service {
	var all []*Service
	for _, s := range c.Services {
		if s.Command == program {
			all = append(all, s)
		}
	}
	return all
}

// Cleanup returns the cleanup service that takes the service's mail; nil: there is none.
func (s *Service) Cleanup() *Service { return s.config.Find(s.Get("cleanup_service_name"), "unix") }

// String is how postconf names the service.
func (s *Service) String() string { return s.Name + "/" + s.Type }
