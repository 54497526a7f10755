package lists

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// journal is a log in memory.
type journal []string

func (j *journal) Trouble(what string, err error) { *j = append(*j, fmt.Sprintf("%s: %v", what, err)) }

func (j *journal) Recovered(what string, lasted time.Duration) {
	*j = append(*j, fmt.Sprintf("%s, after %v", what, lasted))
}

func (j *journal) ListRead(name string, entries int) {
	*j = append(*j, fmt.Sprintf("%s has %d entries", name, entries))
}

// office is a folder with one list.
type office struct {
	t    *testing.T
	path string
	set  *Set
	now  time.Time
	log  journal
}

func newOffice(t *testing.T, text string) *office {
	o := &office{t: t, path: filepath.Join(t.TempDir(), "vips"), now: time.Unix(1e9, 0)}
	o.write(text)
	o.set = New(filepath.Dir(o.path))
	return o
}

// write puts another text into the file, as a program would that does not care for readers.
func (o *office) write(text string) {
	o.t.Helper()
	if err := os.WriteFile(o.path, []byte(text), 0o600); err != nil {
		o.t.Fatal(err)
	}
	o.now = o.now.Add(time.Second)
	if err := os.Chtimes(o.path, o.now, o.now); err != nil {
		o.t.Fatal(err)
	}
}

// pass lets time pass, with a look each second, and returns the last line of the log.
func (o *office) pass(d time.Duration) string {
	for end := o.now.Add(d); o.now.Before(end); {
		o.now = o.now.Add(time.Second)
		o.set.look(o.now, &o.log)
	}
	return strings.Join(o.log[max(0, len(o.log)-1):], "")
}

func (o *office) has(address string) bool {
	o.t.Helper()
	l, err := o.set.Patterns([]string{"@vips"})
	if err != nil {
		o.t.Fatal(err)
	}
	return l.Match(address)
}

func TestAListIsReadAgainWhenItChanges(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "# people\n\nCEO@corp.test\r\n*@board.test\n")
	if !o.has("ceo@corp.test") || !o.has("a@BOARD.test") || o.has("# people") || o.has("") {
		t.Error("the list is not what its lines say")
	}
	o.write("cfo@corp.test\n")
	if o.set.look(o.now, &o.log); o.has("cfo@corp.test") {
		t.Error("it is read while it may be written")
	}
	if got := o.pass(3 * time.Second); got != "vips has 1 entries" || !o.has("cfo@corp.test") || o.has("ceo@corp.test") {
		t.Error(got)
	}
}

// Whatever is wrong with a file, what it had stays in force until it is right again, and one line says so.
func TestABrokenListKeepsWhatItHad(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"an invalid line":    {"a@x.test\n/(/\n", "line 2: invalid regular expression"},
		"empty":              {"", "it is empty"},
		"blank":              {"\n\n", "it is empty"},
		"half written":       {"a@x.test\nb@x.te", "its last line has no end"},
		"another list in it": {"@others\n", "a list can't contain another one"},
		"not text":           {"\xff\xfe\n", "invalid pattern"},
		"a long line":        {strings.Repeat("a", 70000) + "\n", "a line has more than"},
		"too many wildcards": {strings.Repeat("a*b@x.test\n", 1001), "more than 1000 patterns with wildcards"},
	} {
		o := newOffice(t, "ceo@corp.test\n")
		if !o.has("ceo@corp.test") {
			t.Fatal("the list is not read")
		}
		o.write(c.text)
		got := o.pass(30 * time.Second)
		file := o.set.Files()[0]
		if !strings.Contains(got, c.want) || len(o.log) != 1 || !o.has("ceo@corp.test") || file.Trouble() == "" {
			t.Errorf("%s: %q, in force: %v, trouble %q", name, o.log, o.has("ceo@corp.test"), file.Trouble())
		}
		o.write("cfo@corp.test\n")
		if o.pass(3 * time.Second); !o.has("cfo@corp.test") || file.Trouble() != "" ||
			!strings.HasPrefix(strings.Join(o.log[1:], ""), "the list vips is in force as its file is, after 3") {
			t.Errorf("%s: corrected, and not taken: %q", name, o.log)
		}
	}
}

func TestAListThatIsGoneKeepsWhatItHad(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "ceo@corp.test\n")
	o.has("")
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	move(o.path, o.path+".old")
	if got := o.pass(5 * time.Second); !strings.Contains(got, "no such file") || !o.has("ceo@corp.test") {
		t.Errorf("%q", got)
	}
	move(o.path+".old", o.path)
	if got := o.pass(5 * time.Second); !strings.HasPrefix(got, "the list vips is in force as its file is, after ") {
		t.Errorf("the same file is back: %q", got)
	}
}

// A last line without an end is taken after a while: it is what some editors write.
func TestALastLineWithoutAnEndIsTakenInTheEnd(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "ceo@corp.test")
	if !o.has("ceo@corp.test") {
		t.Error("not at the start")
	}
	o.write("cfo@corp.test")
	if o.pass(2 * time.Minute); !o.has("cfo@corp.test") {
		t.Errorf("%q", o.log)
	}
}

func TestAListThatCanNotBeReadAtFirstIsAnError(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "/(/\n")
	for name, want := range map[string]string{"vips": "the list vips can't be used: line 1: invalid regular",
		"none": "no such file", "/dev/null": "not a regular file", ".": "not a regular file"} {
		if _, err := o.set.Open(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (*Set)(nil).Open("vips"); err == nil {
		t.Error("a set without a folder has a list")
	}
}

// Whoever may write in the folder could put a pipe in a list's place between two looks, and stop all lists.
func TestAPipeInPlaceOfAListIsNotWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(path, []byte("a.test\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	seen := stateOf(path)
	if err := errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := (&File{path: path}).read(seen); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("got %v", err)
	}
}

// A file that the config does not name any more is not looked at: what becomes of it is nobody's trouble.
func TestAListThatIsNamedNoLongerIsForgotten(t *testing.T) {
	o := newOffice(t, "a@x.test\n")
	if _, err := o.set.Open("vips"); err != nil {
		t.Fatal(err)
	}
	o.set.KeepOnly([]string{"vips"})
	if len(o.set.Files()) != 1 {
		t.Fatal("a list that is named is forgotten")
	}
	o.set.KeepOnly([]string{"others"})
	o.write("[broken\n")
	if said := o.pass(time.Minute); said != "" || len(o.set.Files()) > 0 {
		t.Errorf("%d files, said %q", len(o.set.Files()), said)
	}
}
