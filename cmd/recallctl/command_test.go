package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// What setup tells to type next, with a config and a Postfix that are not the usual ones, does what it says.
func TestCommandsThatSetupTellsWork(t *testing.T) {
	redis := server.StartRedis(t)
	dir := server.PostfixConf(t, "", "")
	conf := filepath.Join(t.TempDir(), "c.toml")
	if err := os.WriteFile(conf, fmt.Appendf(nil, "[redis]\naddresses = [%q]\n", redis.Addr), 0o600); err != nil {
		t.Fatal(err)
	}
	said := ""
	typed := func(command string) {
		t.Helper()
		var out, words bytes.Buffer
		command = strings.ReplaceAll(command, " --reload", "") // no Postfix runs
		args := strings.Fields(strings.TrimPrefix(command, "recallctl "))
		if code := run(t.Context(), args, strings.NewReader(""), &out, &words); code != 0 {
			t.Fatalf("%s: exit %d: %s", command, code, words.String())
		}
		said = words.String()
		server.Aged(t, filepath.Join(dir, "main.cf"))
		server.Aged(t, filepath.Join(dir, "master.cf"))
	}
	named := " --postfix " + dir + " --user root"
	told := func(flag string) string {
		t.Helper()
		command := "recallctl -c " + conf + " setup " + flag + " --reload" + named
		if !strings.Contains(said, command) {
			t.Fatalf("%q is not told: %s", command, said)
		}
		if m := regexp.MustCompile(`recallctl (setup|test)[^;\n]*`).FindString(said); m != "" {
			t.Errorf("%q leaves out what it is about", m)
		}
		return command
	}
	asksUs := func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "main.cf"))
		return err == nil && regexp.MustCompile(`(?m)^smtpd_milters = inet:127\.0\.0\.1:8890$`).Match(text)
	}
	typed("recallctl -c " + conf + " setup" + named)
	typed(told("--apply"))
	undo := told("--undo")
	typed("recallctl -c " + conf + " setup --bypass" + named)
	if asksUs() {
		t.Error("the bypass changed nothing")
	}
	typed("recallctl -c " + conf + " setup" + named)
	resume := told("--resume")
	if typed(resume); !asksUs() {
		t.Error("the milter is not back")
	}
	if typed(undo); asksUs() {
		t.Error("the milter is still there")
	}
	typed("recallctl -c " + conf + " setup --apply" + named)
	typed("recallctl -c " + conf + " setup --bypass" + named)
	if typed(undo); !strings.Contains(said, "the milter was bypassed: it stays out") {
		t.Errorf("nothing is said of the bypass that ended: %s", said)
	}
}
