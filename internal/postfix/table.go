package postfix

import (
	"os"
	"regexp"
	"strings"
)

// Answer is what is known of a table.
type Answer int

// Whether a table has an action on the queue file. Maybe: it can't be read here, as a database or a server.
const (
	No Answer = iota
	Maybe
	Yes
)

// maxTable bounds how much of a table is read, in bytes; a larger one might act.
const maxTable = 16 << 20

var action = regexp.MustCompile(`(?im)(^|[\s=:])(HOLD|FILTER|REDIRECT|BCC)([\s}]|$)`)

// Acts says whether a table can answer with HOLD, FILTER, REDIRECT or BCC.
func (c *Config) Acts(table string) Answer {
	text, ok := c.text(table)
	switch {
	case !ok:
		return Maybe // also check_policy_service
	case action.MatchString(text):
		return Yes
	}
	return No
}

// Mentions says whether a table that can be read has a word, in lower case.
func (c *Config) Mentions(table, word string) bool {
	text, _ := c.text(table)
	return strings.Contains(strings.ToLower(text), word)
}

// Routes says whether a table that can be read names a next hop that leads to an endpoint: anywhere in it, or only in
// its FILTER actions. Tables of tables (pipemap, unionmap, randmap) are read as well.
func (c *Config) Routes(table string, filters bool, to Endpoint) bool {
	text := c.texts(table, maxNested)
	if !filters {
		return LeadsTo(text, to)
	}
	for _, m := range filterAction.FindAllStringSubmatch(text, -1) {
		if LeadsTo(m[1], to) {
			return true
		}
	}
	return false
}

var filterAction = regexp.MustCompile(`(?im)(?:^|[\s=:{,/])FILTER[ \t]+([^\s}]+)`)

// maxNested bounds how deep tables are in tables.
const maxNested = 3

func (c *Config) texts(table string, depth int) string {
	kind, inner, _ := strings.Cut(strings.TrimPrefix(table, "proxy:"), ":")
	if depth == 0 || kind != "pipemap" && kind != "unionmap" && kind != "randmap" {
		text, _ := c.text(table)
		return text
	}
	var b strings.Builder
	for _, one := range entries(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(inner), "{"), "}")) {
		b.WriteString(c.texts(one, depth-1) + "\n")
	}
	return b.String()
}

// text is what a table has, of an indexed one its source. ok: it can be read here.
func (c *Config) text(table string) (text string, ok bool) {
	kind, name, _ := strings.Cut(strings.TrimPrefix(table, "proxy:"), ":")
	switch kind {
	case "inline", "static":
		return name, true
	case "regexp", "pcre", "cidr":
		if strings.HasPrefix(name, "{") {
			return name, true
		}
	case "hash", "btree", "lmdb", "cdb", "dbm", "texthash":
	default:
		return "", false
	}
	file, err := os.Stat(name)
	if err != nil || file.Size() > maxTable {
		return "", false
	}
	read, err := os.ReadFile(name)
	return withoutComments(string(read)), err == nil
}

func withoutComments(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			b.WriteString(line)
		}
	}
	return b.String()
}
