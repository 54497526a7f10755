package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-runewidth"
	"golang.org/x/term"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/jsonline"
	"github.com/recall-milter/recall-milter/internal/sanitize"
)

// screen is where the answers go: a terminal, or a file or pipe that a program reads.
type screen struct {
	stdout, stderr io.Writer
	json           bool
	reasons        func(*holdstore.Hold) string // why holds wait, by the rules; nil: the config is not read
}

// reason says why a hold waits, in the site's words.
func (s *screen) reason(h *holdstore.Hold) string {
	if s.reasons == nil {
		return ""
	}
	return s.reasons(h)
}

func newScreen(stdout, stderr io.Writer) *screen { return &screen{stdout: stdout, stderr: stderr} }

// say tells people something in addition to the answer.
func (s *screen) say(format string, args ...any) {
	fmt.Fprintln(s.stderr, sanitize.TerminalText(fmt.Sprintf(format, args...)))
}

// encode writes one JSON object on a line; <> of a Message-ID stay as they are, and what a terminal would obey is
// escaped.
func (s *screen) encode(v any) error {
	e := json.NewEncoder(jsonline.New(s.stdout))
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// failure says what was not done to a hold.
func (s *screen) failure(id string, err error) {
	if s.json {
		s.encode(map[string]string{"id": id, "error": err.Error()})
		return
	}
	s.say("%s: %v", id, err)
}

func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// interactive says whether somebody can answer a question.
func (s *screen) interactive(stdin io.Reader) bool { return isTerminal(stdin) && isTerminal(s.stderr) }

// size returns the columns and lines of the terminal; 0: there is none, and nothing is cut.
func (s *screen) size() (width, height int) {
	if file, ok := s.stdout.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		if w, h, err := term.GetSize(int(file.Fd())); err == nil && w > 0 && h > 0 {
			return w, h
		}
		return 80, 24 // a terminal that does not say
	}
	return 0, 0
}

// table writes rows under a heading. A terminal gets columns that fit it: the widest is cut, and only as far as needed.
func (s *screen) table(heading []string, rows [][]string) {
	width, _ := s.size()
	for _, line := range laidOut(heading, rows, width) {
		fmt.Fprintln(s.stdout, line)
	}
}

func laidOut(heading []string, rows [][]string, width int) []string {
	var c columns
	return c.lines(append([][]string{heading}, rows...), width)
}

// columns are as wide as what was in them so far, so that the pages of a table fit each other.
type columns struct {
	needed []int
	left   []int // the columns that are shown; nil: not yet decided
}

// leastWanted are the columns that a narrow terminal loses, the first one first: a line never wraps.
var leastWanted = []string{"SIZE", "BY", "RECIPIENTS", "SENDER", "DETAIL"}

// lines lays rows out on lines of a width; 0: of any. The first row of a table is its heading. What a terminal would
// obey is escaped in all cells, whoever wrote them.
func (c *columns) lines(rows [][]string, width int) []string {
	for r, row := range rows {
		rows[r] = make([]string, len(row))
		for n, cell := range row {
			cell = sanitize.TerminalCell(cell)
			rows[r][n] = cell
			if n == len(c.needed) {
				c.needed = append(c.needed, 0)
			}
			c.needed[n] = max(c.needed[n], runewidth.StringWidth(cell))
		}
	}
	if c.left == nil && len(rows) > 0 {
		c.left = chosen(rows[0], c.needed, width)
	}
	var widths []int
	for _, n := range c.left {
		widths = append(widths, c.needed[n])
	}
	fit(widths, width-2*(len(widths)-1), width > 0)
	var lines []string
	for _, row := range rows {
		var b strings.Builder
		for n, column := range c.left {
			cell := row[column]
			if runewidth.StringWidth(cell) > widths[n] {
				cell = runewidth.Truncate(cell, widths[n], "…")
			}
			if b.WriteString(cell); n < len(c.left)-1 {
				b.WriteString(strings.Repeat(" ", widths[n]-runewidth.StringWidth(cell)+2))
			}
		}
		line := strings.TrimRight(b.String(), " ")
		if width > 0 {
			line = runewidth.Truncate(line, width, "…")
		}
		lines = append(lines, line)
	}
	return lines
}

// chosen lists the columns that fit a width when each is cut as far as it may be.
func chosen(heading []string, needed []int, width int) (left []int) {
	for n := range heading {
		left = append(left, n)
	}
	for _, name := range leastWanted {
		room := width + 2
		for _, n := range left {
			room -= min(needed[n], narrowest) + 2
		}
		if width == 0 || room >= 0 {
			break
		}
		left = slices.DeleteFunc(left, func(n int) bool { return heading[n] == name })
	}
	return left
}

// narrowest is what a cut column keeps: an ID must stay whole to be of use.
const narrowest = 13

// fit takes columns away from the widest until all fit in room.
func fit(widths []int, room int, bounded bool) {
	for bounded && len(widths) > 0 {
		sum, widest := 0, 0
		for n, w := range widths {
			sum += w
			if w >= widths[widest] {
				widest = n
			}
		}
		if sum <= room || widths[widest] <= narrowest {
			return
		}
		widths[widest]--
	}
}

// bar shows how far long work is, on a terminal, once it takes longer than a moment. It is safe for concurrent use.
type bar struct {
	mu    sync.Mutex
	s     *screen
	total int
	drawn time.Time
	shown bool
}

func (s *screen) progress(total int) *bar {
	if !isTerminal(s.stderr) {
		return &bar{total: total}
	}
	return &bar{s: s, total: total, drawn: time.Now()}
}

// of is at for work whose end moves.
func (b *bar) of(n, total int) {
	b.mu.Lock()
	b.total = total
	b.mu.Unlock()
	b.at(n)
}

func (b *bar) at(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.s == nil || time.Since(b.drawn) < 200*time.Millisecond {
		return
	}
	b.drawn, b.shown = time.Now(), true
	const width = 30
	full := min(width*n/max(b.total, 1), width)
	fmt.Fprintf(b.s.stderr, "\r[%s%s] %d of %d", strings.Repeat("=", full), strings.Repeat(" ", width-full), n, b.total)
}

func (b *bar) done() {
	if b.shown {
		fmt.Fprint(b.s.stderr, "\r\x1b[K")
		b.shown = false
	}
}
