package mailbox

import (
	"fmt"
	"slices"
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
		if strings.Contains(line, "SUBJECT") {
			return clawFetch(tag)
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
		g.in[to], g.in["All"] = true, keep || to != "Bin" // whatever has a label is among all mail
		return "* OK [COPYUID 3 7 7] moved\r\n" + tag + " OK done\r\n"
	}
	return polite(command, tag)
}

// clawFetch is what a claw back reads of the message.
func clawFetch(tag string) string {
	head, body, _ := strings.Cut(message(id), "\r\n\r\n")
	head += "\r\n\r\n"
	return fmt.Sprintf("* 1 FETCH (UID 7 FLAGS () BODY[HEADER.FIELDS (MESSAGE-ID FROM DATE SUBJECT)]<0> {%d}\r\n%s "+
		"BODY[HEADER.FIELDS (RECEIVED DELIVERED-TO)]<0> \"Received: x\" BODY[TEXT]<0> {%d}\r\n%s)\r\n%s OK done\r\n",
		len(head), head, len(body), body, tag)
}

// where lists the folders that show the message.
func (g *gmail) where() string {
	var all []string
	for folder, yes := range g.in {
		if yes {
			all = append(all, folder)
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// On a server that archives, a claw back takes a message out of all mail as well, also one that its user has archived,
// and says "moved" where "deleted" would promise too much.
func TestAClawBackLeavesNothingAmongAllMail(t *testing.T) {
	t.Parallel()
	folders := []string{"* LIST () \"/\" INBOX\r\n", "* LIST () \"/\" Work\r\n", "* LIST (\\Trash) \"/\" Bin\r\n",
		"* LIST (\\All) \"/\" All\r\n"}
	for name, c := range map[string]struct {
		in         []string
		keeps      bool
		claw       Claw
		want, left string
		undone     string // where it is after an undo
	}{
		"with labels":        {[]string{"INBOX", "Work", "All"}, false, Claw{}, Moved, "Bin", "All INBOX"},
		"archived":           {[]string{"All"}, false, Claw{}, Moved, "Bin", "All"},
		"kept among all":     {[]string{"INBOX", "All"}, true, Claw{}, Refused, "All Bin", ""},
		"for good":           {[]string{"INBOX", "All"}, false, Claw{Delete: true}, Moved, "Bin", "All INBOX"},
		"only looked at":     {[]string{"All"}, false, Claw{DryRun: true}, Moved, "All", ""},
		"looked at in inbox": {[]string{"INBOX", "All"}, false, Claw{DryRun: true}, Moved, "All INBOX", ""},
		"to a label":         {[]string{"INBOX", "All"}, false, Claw{Folder: "Work"}, Moved, "All Work", "All INBOX"},
		"not there":          {nil, false, Claw{}, NotFound, "", ""},
	} {
		g := &gmail{folders: folders, in: map[string]bool{}, keeps: c.keeps}
		for _, folder := range c.in {
			g.in[folder] = true
		}
		claw := clawOf(t, message(id))
		claw.Delete, claw.DryRun, claw.Folder = c.claw.Delete, c.claw.DryRun, c.claw.Folder
		b := actorOfLines(t, g.play)
		r, err := b.ClawBack(t.Context(), claw, nil, func([]Copy) error { return nil })
		if err != nil || r.Outcome != c.want || g.where() != c.left {
			t.Errorf("%s: %+v, %v; it is in %s", name, r, err, g.where())
		}
		if c.undone == "" {
			continue
		}
		back, err := b.GiveBack(t.Context(), claw, r.Copies, nil)
		if err != nil || back.Outcome != Returned || g.where() != c.undone {
			t.Errorf("%s, undone: %+v, %v; it is in %s", name, back, err, g.where())
		}
	}
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
		"archived":           {[]string{inbox, trash, all}, false, "All", Retracted, "Bin"},
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
