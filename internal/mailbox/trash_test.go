package mailbox

import (
	"strings"
	"testing"
)

// gmail plays Gmail's part: what is expunged stays among all mail, and only what is moved to the trash is gone from
// there.
type gmail struct {
	folders  []string // LIST lines
	in       map[string]bool
	keeps    bool // among all mail, whatever is moved
	selected string
	flags    string
}

func (g *gmail) play(line, tag string) string {
	command, rest, _ := strings.Cut(line, " ")
	switch command {
	case "", "LOGIN", "CAPABILITY":
		return strings.ReplaceAll(polite(command, tag), "UIDPLUS", "UIDPLUS MOVE X-GM-EXT-1")
	case "LIST":
		return strings.Join(g.folders, "") + tag + " OK done\r\n"
	case "EXAMINE", "SELECT":
		name, _, _ := strings.Cut(strings.ReplaceAll(rest, `"`, ""), " (")
		g.selected = name
	case "SEARCH", "FETCH":
		if !g.in[g.selected] {
			return tag + " OK done\r\n"
		}
		return strings.ReplaceAll(polite(command, tag), "FLAGS ()", "FLAGS ("+g.flags+")")
	case "STORE":
		g.flags = `\Deleted`
	case "EXPUNGE":
		delete(g.in, g.selected)
	case "MOVE":
		to := strings.Trim(rest[strings.Index(rest, " ")+1:], `"`)
		keep := g.keeps
		clear(g.in)
		g.in[to], g.in["All"] = true, keep
		return "* OK [COPYUID 3 7 7] moved\r\n" + tag + " OK done\r\n"
	}
	return polite(command, tag)
}

func TestWhatAServerArchivesIsMovedToItsTrash(t *testing.T) {
	t.Parallel()
	const inbox, trash, all = "* LIST () \"/\" INBOX\r\n", "* LIST (\\Trash) \"/\" Bin\r\n", "* LIST (\\All) \"/\" All\r\n"
	for name, c := range map[string]struct {
		folders []string
		keeps   bool
		from    string
		want    string
		left    string // where it is then
	}{
		"moved":              {[]string{inbox, trash, all}, false, "INBOX", Retracted, "Bin"},
		"in the trash":       {[]string{inbox, trash, all}, false, "Bin", Retracted, ""},
		"kept among all":     {[]string{inbox, trash, all}, true, "INBOX", Refused, "All"},
		"no trash":           {[]string{inbox, all}, false, "INBOX", Refused, "INBOX"},
		"all mail is hidden": {[]string{inbox, trash}, false, "INBOX", Retracted, "Bin"},
	} {
		g := &gmail{folders: c.folders, in: map[string]bool{c.from: true}, keeps: c.keeps}
		planned := 0
		r, err := actorOfLines(t, g.play).Retract(t.Context(), target(id), func(Result) error { planned++; return nil })
		if err != nil || r.Outcome != c.want || c.left != "" && !g.in[c.left] || c.left == "" && len(g.in) > 0 {
			t.Errorf("%s: %+v, %v; it is in %v", name, r, err, g.in)
		}
		if (planned > 0) != (name != "no trash") {
			t.Errorf("%s: planned %d times", name, planned)
		}
	}
}
