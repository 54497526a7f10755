// Package hint writes the commands that people are told to type. They work when pasted: each one names the config file
// and the folder of Postfix that are meant, where these are not the usual ones. On a machine with several gateways a
// command without them would act on another one.
package hint

import (
	"strings"

	"github.com/recall-milter/recall-milter/internal/config"
)

// Recallctl is the command that runs a verb with its arguments on the gateway of a config file. An empty file is the
// usual one.
func Recallctl(file, verb string) string {
	if file == "" || file == config.DefaultFile {
		return "recallctl " + verb
	}
	return "recallctl -c " + Quoted(file) + " " + verb
}

// PostfixDir is where Postfix has its configuration, unless it is told otherwise.
const PostfixDir = "/etc/postfix"

// Postfix is a command of Postfix, "postfix" or "postconf", on the configuration in a folder.
func Postfix(program, dir, arguments string) string {
	if dir == "" || dir == PostfixDir {
		return program + " " + arguments
	}
	return program + " -c " + Quoted(dir) + " " + arguments
}

// Quoted is a word for the shell.
func Quoted(word string) string {
	if word != "" && !strings.ContainsFunc(word, func(c rune) bool {
		return c > 0x7e || c < '!' || strings.ContainsRune("!\"#$&'()*;<>?[\\]^`{|}~", c)
	}) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
