package holdstore

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// Every .lua file says on top what it does and its KEYS, ARGV and results, and no line is too long.
func TestLuaFilesSayWhatTheyWant(t *testing.T) {
	files, _ := filepath.Glob("*.lua")
	if len(files) == 0 {
		t.Fatal("no files")
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		head := regexp.MustCompile(`(?m)\A(?:--.*\n)+`).FindString(string(text))
		if !regexp.MustCompile(`(?s)^-- [A-Za-z].*\n--\n-- KEYS: .*\n-- ARGV: .*\n-- Returns: `).MatchString(head) {
			t.Errorf("%s: its first comment is not a summary, KEYS, ARGV and Returns:\n%s", name, head)
		}
		for n, line := range strings.Split(string(text), "\n") {
			if len(line) > 120 {
				t.Errorf("%s:%d has %d characters", name, n+1, len(line))
			}
		}
	}
}

// Scripts in Go files stay short: what is longer has a file of its own.
func TestScriptsInGoAreShort(t *testing.T) {
	files, _ := filepath.Glob("*.go")
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, raw := range regexp.MustCompile("`[^`]*`").FindAllString(string(text), -1) {
			if n := strings.Count(raw, "\n"); strings.Contains(raw, "redis.call") && n > 20 {
				t.Errorf("%s: a script of %d lines: %.60q", name, n, raw)
			}
		}
	}
}

// Redis compiles every file, and none of them calls what nobody defines.
func TestLuaFilesCompile(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	files, _ := filepath.Glob("*.lua")
	defined := map[string]bool{}
	texts := map[string]string{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.nodes.Client.ScriptLoad(t.Context(), string(text)).Err(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		code := regexp.MustCompile(`'[^'\n]*'|--.*`).ReplaceAllString(string(text), " ")
		texts[name] = code
		for _, m := range regexp.MustCompile(`(?:local function|local) ([\w, ]+)|function\(?([\w, ]*)`+
			`|function \w+\(([\w, ]+)|function\(([\w, .]+)`).FindAllStringSubmatch(code, -1) {
			for _, word := range regexp.MustCompile(`\w+`).FindAllString(strings.Join(m[1:], " "), -1) {
				defined[word] = true
			}
		}
		for _, m := range regexp.MustCompile(`function \w+\(([\w, ]+)\)`).FindAllStringSubmatch(code, -1) {
			for _, word := range strings.Split(m[1], ", ") {
				defined[word] = true
			}
		}
	}
	const builtin = " and or not if elseif while return in function unpack ipairs pairs tonumber tostring pcall type " +
		"until error next "
	for name, code := range texts {
		for _, m := range regexp.MustCompile(`(^|[^\w.:])([A-Za-z_]\w*)\(`).FindAllStringSubmatch(code, -1) {
			if word := m[2]; !defined[word] && !strings.Contains(builtin, " "+word+" ") {
				t.Errorf("%s calls %s, which nobody defines", name, word)
			}
		}
	}
}
