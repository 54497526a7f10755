package doctor

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// pasted runs each fix that is a command, as root would, and then demands that what it is for is not found any more.
// On a configuration without a running Postfix, a reload does nothing. again looks once more.
func (s *Site) pasted(t *testing.T, found []Finding, again func() []Finding) {
	t.Helper()
	var ran []Finding
	for _, f := range found {
		if (f.Level == Warning || f.Level == Error) && s.paste(t, f) {
			ran = append(ran, f)
		}
	}
	if len(ran) == 0 {
		return
	}
	left := checks(again())
	for _, f := range ran {
		if slices.Contains(left, f.Check) {
			t.Errorf("%s: found again after %q", f.Check, f.Fix)
		}
	}
}

// paste runs one fix, and says whether it is a command that can run here.
func (s *Site) paste(t *testing.T, f Finding) bool {
	t.Helper()
	command := s.pasteable([]Finding{f})[0].Fix
	switch {
	case strings.HasPrefix(command, "recallctl") && strings.Contains(command, " setup "):
		changes, err := s.mta.Plan(s.Needs()) // what setup --apply does
		if err != nil {
			t.Fatalf("%s: %v", f.Check, err)
		}
		for _, c := range changes {
			s.sh(t, c.Command(s.mta.Dir))
		}
	case strings.HasPrefix(command, "postconf "), strings.HasPrefix(command, "chmod "),
		strings.HasPrefix(command, "chgrp "), strings.HasPrefix(command, "chown "):
		s.sh(t, command)
	default:
		return false
	}
	return true
}

func (s *Site) sh(t *testing.T, command string) {
	t.Helper()
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "postfix"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("sh", "-c", command)
	c.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH")+":/usr/sbin")
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%s: %v: %s", command, err, out)
	}
	if s.mta != nil {
		server.Aged(t, filepath.Join(s.mta.Dir, "main.cf"))
		server.Aged(t, filepath.Join(s.mta.Dir, "master.cf"))
	}
}
