// Package service is what recall-milter and recall-web have in common as programs: their flags, exit codes and signals.
package service

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/recall-milter/recall-milter/internal/config"
)

// Exit codes of sysexits.h that supervisors and scripts know.
const (
	exitUsage  = 64
	exitFailed = 70
	exitConfig = 78
)

// Service is a program that runs in the foreground until a signal ends it.
type Service struct {
	Name    string
	Version string
	About   string // what the program does, for -h; ends with a line feed
	// Open checks what the config names, opens no port, and returns what serves until its context ends. The file is
	// that of the config; what serves logs to stderr, also why it failed.
	Open func(c *config.Config, file string, stderr io.Writer) (serve func(context.Context) error, err error)
}

// Main runs the service with the arguments and signals of the process, and ends the process.
func (s Service) Main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	code := s.Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Run is Main with its surroundings as arguments; it returns the exit code.
func (s Service) Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet(s.Name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	file := flags.String("c", config.DefaultFile, "config `file`")
	check := flags.Bool("t", false, "check the config and exit")
	showVersion := flags.Bool("version", false, "print the version and exit")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		s.help(flags, stdout)
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "%s: %v: see %s -h\n", s.Name, err, s.Name)
		return exitUsage
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "%s: unexpected argument %q: only flags are taken, see -h\n", s.Name, flags.Arg(0))
		return exitUsage
	case *showVersion:
		fmt.Fprintln(stdout, s.Name, s.Version)
		return 0
	}
	c, err := config.Load(*file)
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", s.Name, err)
		return exitConfig
	}
	serve, err := s.Open(c, *file, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", s.Name, err)
		return exitConfig
	}
	if *check {
		s.checked(c, *file, stdout, stderr)
		return 0
	}
	if serve(ctx) != nil {
		return exitFailed
	}
	return 0
}

// checked says what -t found in a valid config.
func (s Service) checked(c *config.Config, file string, stdout, stderr io.Writer) {
	for _, doubt := range c.Doubts {
		fmt.Fprintf(stderr, "%s: warning: %v\n", s.Name, doubt)
	}
	fmt.Fprintf(stdout, "%s: %s is valid\n", s.Name, file)
	if len(c.Environment) > 0 {
		fmt.Fprintf(stdout, "%s: set by the environment: %s\n", s.Name, strings.Join(c.Environment, ", "))
	}
}

// help prints what -h asks for.
func (s Service) help(flags *flag.FlagSet, to io.Writer) {
	fmt.Fprintf(to, "Usage: %s [-c FILE] [-t | -version]\n\n%s\n", s.Name, s.About)
	flags.SetOutput(to)
	flags.PrintDefaults()
	fmt.Fprintf(to, `
Examples:
  %-40s  check the config
  %[2]s -c /etc/recall-milter/recall-milter.toml

Exit: 0 ended by a signal, %[3]d wrong arguments, %[4]d a port can't be opened or what the log says,
%[5]d the config is wrong.
`, s.Name+" -t", s.Name, exitUsage, exitFailed, exitConfig)
}
