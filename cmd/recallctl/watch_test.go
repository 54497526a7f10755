package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"
	"golang.org/x/sys/unix"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/server"
)

// aTerminal is a pseudo-terminal, and what was written to it.
type aTerminal struct {
	keyboard, side *os.File // side is the program's
	mu             sync.Mutex
	seen           strings.Builder
}

func openTerminal(t *testing.T, columns, lines uint16) *aTerminal {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	fd := int(keyboard.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	side, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(side.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: lines, Col: columns}); err != nil {
		t.Fatal(err)
	}
	tt := &aTerminal{keyboard: keyboard, side: side}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, err := keyboard.Read(buf)
			tt.mu.Lock()
			tt.seen.Write(buf[:n])
			tt.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { side.Close(); keyboard.Close(); <-done })
	return tt
}

func (tt *aTerminal) text() string {
	tt.mu.Lock()
	defer tt.mu.Unlock()
	return tt.seen.String()
}

// Somebody watches on a small terminal: what does not fit is counted, no line is wider, and q, or Ctrl-C, gives the
// terminal back as it was.
func TestWatchIsSeenAndQuit(t *testing.T) {
	t.Parallel()
	redis := server.StartRedis(t)
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{redis.Addr}, Durability: "strict"})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for n := range 30 {
		sub := holdstore.Submission{
			Sender:     holdstore.Path{Address: "alice@corp.test"},
			Recipients: []holdstore.Path{{Address: "bob@x.test"}},
		}
		p := store.Put(sub, fmt.Appendf(nil, "Subject: %d\r\n", n))
		if _, err := p.Commit(context.Background(), holdstore.Terms{Grace: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	conf := filepath.Join(t.TempDir(), "c.toml")
	if err := os.WriteFile(conf, []byte("[redis]\naddresses = [\""+redis.Addr+"\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]string{"q": "q", "Q": "Q", "Ctrl-C": "\x03"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			watchAndQuit(t, conf, key)
		})
	}
}

func watchAndQuit(t *testing.T, conf, key string) {
	const columns, lines = 60, 12
	tt := openTerminal(t, columns, lines)
	before, err := unix.IoctlGetTermios(int(tt.side.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("recallctl", "-c", conf, "watch")
	c.Stdin, c.Stdout, c.Stderr = tt.side, tt.side, tt.side
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true} // for Ctrl-C
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	server.Eventually(t, "the table is drawn", func() bool { return strings.Contains(tt.text(), "22 more below") })
	if _, err := tt.keyboard.WriteString(key); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"\x03": 130}[key] // as of every program that an interrupt ends
	if err := c.Wait(); c.ProcessState.ExitCode() != want {
		t.Errorf("after %q: %v\n%s", key, err, tt.text())
	}
	server.Eventually(t, "the screen is given back", func() bool {
		return strings.HasSuffix(tt.text(), "\x1b[?25h\x1b[?1049l")
	})
	after, err := unix.IoctlGetTermios(int(tt.side.Fd()), unix.TCGETS)
	if err != nil || *after != *before {
		t.Errorf("the terminal is not as it was: %v", err)
	}
	first, _, _ := strings.Cut(tt.text(), "\x1b[J")
	shown := strings.Split(regexp.MustCompile(`\x1b\[\??\d*[A-Za-z]`).ReplaceAllString(first, ""), "\r\n")
	if len(shown) > lines || !strings.Contains(shown[0], "30 messages waiting at") {
		t.Errorf("%d lines: %q", len(shown), shown)
	}
	for _, line := range shown {
		line = line[strings.LastIndexByte(line, '\r')+1:] // what was before, such as a bar, is overwritten
		if runewidth.StringWidth(line) > columns {
			t.Errorf("%q is wider than %d columns", line, columns)
		}
	}
}
