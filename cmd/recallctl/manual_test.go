package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

var (
	inBlock = regexp.MustCompile(`(?m)^(?: {4,}|.*\| |.*do |)(recallctl [^\n]*)`)
	inText  = regexp.MustCompile("`(recallctl [^`]+)`")
	newLine = regexp.MustCompile(`\n\s*`)
	shell   = regexp.MustCompile(`"[^"]*"|'[^']*'|[^\s"']+`)
)

// Every command line of recallctl in the manual is one that this recallctl understands: its verb and its flags exist,
// and so do those that a page names in the middle of a sentence.
func TestEveryCommandOfTheManualIsUnderstood(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatal(pages, err)
	}
	seen := 0
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		var commands []string
		for _, m := range append(inBlock.FindAllStringSubmatch(string(text), -1),
			inText.FindAllStringSubmatch(string(text), -1)...) {
			if !strings.Contains(m[1], "----") { // an arrow of a picture
				commands = append(commands, strings.ReplaceAll(newLine.ReplaceAllString(m[1], " "), "   ", " # "))
			}
		}
		for _, command := range commands {
			seen++
			if err := understood(command); err != nil {
				t.Errorf("%s: %s: %v", filepath.Base(page), command, err)
			}
		}
	}
	if seen < 50 {
		t.Errorf("only %d commands were found", seen)
	}
}

// understood looks up the verb of a command line, and reads its flags, without doing anything.
func understood(command string) error {
	command, _, _ = strings.Cut(command, " #")
	command = regexp.MustCompile(`\s[|>;&].*`).ReplaceAllString(command, "")
	command = strings.NewReplacer("...", "", "`", "").Replace(command)
	var args []string
	for _, word := range shell.FindAllString(command, -1)[1:] {
		args = append(args, strings.Trim(word, `"'`))
	}
	for n, arg := range args { // new|rotate|status: each of them
		if choices := strings.Split(arg, "|"); len(choices) > 1 && n < 2 {
			for _, choice := range choices {
				if err := understood(strings.Join(append(append([]string{"recallctl"}, args[:n]...), choice), " ")); err != nil {
					return err
				}
			}
			return nil
		}
	}
	var words bytes.Buffer
	root := (&ctl{screen: newScreen(&words, &words)}).root()
	root.InitDefaultCompletionCmd()
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	if cmd == root && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		return usage("unknown verb")
	}
	if err := cmd.ParseFlags(rest); !errors.Is(err, pflag.ErrHelp) {
		return err
	}
	return nil
}
