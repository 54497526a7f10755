package postfix

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/internal/lazyregexp"
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

var action = lazyregexp.New(`(?im)(^|[\s=:])(HOLD|FILTER|REDIRECT|BCC)([\s}]|$)`)

// Acts says whether a table can answer with HOLD, FILTER, REDIRECT or BCC.
func (c *Config) Acts(table string) Answer {
	switch text, unread := c.texts(table, maxNested); {
	case action.MatchString(text):
		return Yes
	case len(unread) > 0:
		return Maybe // also check_policy_service
	}
	return No
}

// Unread lists what can't be read of a table: a database or a server, by itself or in a table of tables.
func (c *Config) Unread(table string) (tables []string) {
	_, tables = c.texts(table, maxNested)
	return tables
}

// Mentions says whether a table that can be read has a word, in lower case.
func (c *Config) Mentions(table, word string) bool {
	text, _ := c.texts(table, maxNested)
	return strings.Contains(strings.ToLower(text), word)
}

// Routes says whether a table that can be read names a next hop that leads to an endpoint: anywhere in it, or only in
// its FILTER actions. Tables of tables (pipemap, unionmap, randmap) are read as well.
func (c *Config) Routes(table string, filters bool, to Endpoint) bool {
	text, _ := c.texts(table, maxNested)
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

var filterAction = lazyregexp.New(`(?im)(?:^|[\s=:{,/])FILTER[ \t]+([^\s}]+)`)

// maxNested bounds how deep tables are in tables.
const maxNested = 3

// texts is what a table has, with all that is in a table of tables (pipemap, unionmap, randmap), and which of them
// can't be read here.
func (c *Config) texts(table string, depth int) (text string, unread []string) {
	kind, inner, _ := strings.Cut(strings.TrimPrefix(table, "proxy:"), ":")
	if depth == 0 || kind != "pipemap" && kind != "unionmap" && kind != "randmap" {
		text, ok := c.text(table)
		if !ok {
			unread = []string{table}
		}
		return text, unread
	}
	var b strings.Builder
	for _, one := range entries(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(inner), "{"), "}")) {
		text, not := c.texts(one, depth-1)
		b.WriteString(text + "\n")
		unread = append(unread, not...)
	}
	return b.String(), unread
}

// text is what a table has. ok: it can be read here.
func (c *Config) text(table string) (text string, ok bool) {
	kind, name, _ := strings.Cut(strings.TrimPrefix(table, "proxy:"), ":")
	switch kind {
	case "inline", "static":
		return name, true
	case "regexp", "pcre", "cidr":
		if strings.HasPrefix(name, "{") {
			return name, true
		}
	case "texthash":
	case "hash", "btree", "lmdb", "cdb", "dbm", "sdbm":
		return c.indexed(kind + ":" + name)
	default:
		return "", false
	}
	return source(name)
}

// listTime bounds the reading of an indexed table.
const listTime = 5 * time.Second

// indexed is what an indexed table has: what Postfix would find in it, or where postmap can't tell, its source.
func (c *Config) indexed(table string) (text string, ok bool) {
	ctx, cancel := context.WithTimeout(context.Background(), listTime)
	defer cancel()
	text, err := run(ctx, "postmap", "-c", c.Dir, "-s", table)
	if err == nil {
		return text, len(text) <= maxTable
	}
	_, name, _ := strings.Cut(table, ":")
	return source(name)
}

func source(name string) (text string, ok bool) {
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
