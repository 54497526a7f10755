package socketmap

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/policy"
)

// journal is a log that is read.
type journal []string

func (j *journal) Trouble(what string, _ error)           { *j = append(*j, what) }
func (j *journal) Recovered(what string, _ time.Duration) { *j = append(*j, what) }

// serve answers questions on a port of its own, and returns the map's address. An answer "" closes the connection,
// "hang" says nothing.
func serve(t *testing.T, answer func(question string) string) (address string, l net.Listener) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			go func() {
				defer c.Close()
				for r := bufio.NewReader(c); ; {
					question, err := readNetstring(r)
					if err != nil {
						return
					}
					switch text := answer(question); text {
					case "":
						return
					case "hang":
					default:
						fmt.Fprint(c, text)
					}
				}
			}()
		}
	}()
	return "socketmap:inet:" + l.Addr().String() + ":people", l
}

func netstring(text string) string { return fmt.Sprintf("%d:%s,", len(text), text) }

func TestOnlyOKAndNotFoundAreAnswers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]policy.Answer{
		netstring("OK 10m"):                        {Known: true, Found: true, Text: "10m"},
		netstring("OK "):                           {Known: true, Found: true},
		netstring("NOTFOUND "):                     {Known: true},
		netstring("TEMP LDAP is away"):             {},
		netstring("TIMEOUT "):                      {},
		netstring("PERM no"):                       {},
		netstring("FOUND x"):                       {},
		netstring(""):                              {},
		"5:OK 1,":                                  {},
		"OK 10m\n":                                 {},
		"99999999999:x,":                           {},
		"200000:" + strings.Repeat("x", 200_000):   {},
		netstring("OK " + strings.Repeat("x", 99)): {Known: true, Found: true, Text: strings.Repeat("x", 99)},
	} {
		at, _ := serve(t, func(question string) string {
			if question != "people a@x.test" {
				return ""
			}
			return text
		})
		c := &Client{}
		q := policy.Question{Map: at, Key: "a@x.test"}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if got := c.Ask(ctx, []policy.Question{q}); got[q] != want || len(got) != 1 {
			t.Errorf("%.30q: %+v, want %+v", text, got, want)
		}
		cancel()
		c.Close()
	}
}

// A server that was started anew has closed the connections that were kept: the question is asked once more.
func TestAServerThatRestartsIsAskedAgain(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	at, _ := serve(t, func(string) string {
		if asked.Add(1)%2 == 0 {
			return ""
		}
		return netstring("OK x")
	})
	c := &Client{}
	defer c.Close()
	for range 5 {
		q := policy.Question{Map: at, Key: "a"}
		if got := c.Ask(t.Context(), []policy.Question{q})[q]; !got.Found {
			t.Errorf("no answer, %d questions", asked.Load())
		}
	}
}

// A server that hangs costs one message its patience, and those after it nothing; one that is away costs nothing.
func TestAServerThatHangsIsLeftAloneForAWhile(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	at, l := serve(t, func(string) string { asked.Add(1); return "hang" })
	var told journal
	c := &Client{Log: &told}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	questions := []policy.Question{{Map: at, Key: "a"}, {Map: at, Key: "b"}}
	if got := c.Ask(ctx, questions); got[questions[0]].Known || got[questions[1]].Known || len(told) != 1 {
		t.Errorf("%v, %q", got, told)
	}
	began := time.Now()
	for range 100 {
		c.Ask(t.Context(), questions[:1])
	}
	if most := 1 + int64(time.Since(began)/hungTime); asked.Load() > most {
		t.Errorf("a server that hangs was asked %d times, want %d", asked.Load(), most)
	}
	l.Close()
	q := policy.Question{Map: strings.Replace(at, "127.0.0.1", "127.0.0.2", 1), Key: "a"}
	if got := c.Ask(t.Context(), []policy.Question{q}); got[q].Known {
		t.Errorf("%v", got)
	}
}

// The log says once that a map is away, however much mail asks it, and that it answers again: also where the server
// answers, and only what is behind it does not. The other map of the same server has lines of its own.
func TestTheLogSaysThatAMapIsAwayAndBack(t *testing.T) {
	t.Parallel()
	var answer atomic.Value
	at, _ := serve(t, func(question string) string {
		if strings.HasPrefix(question, "people ") {
			return answer.Load().(string)
		}
		return netstring("NOTFOUND ")
	})
	var told journal
	c := &Client{Log: &told}
	defer c.Close()
	ask := func() {
		c.Ask(t.Context(), []policy.Question{{Map: at, Key: "a"}, {Map: strings.TrimSuffix(at, "people") + "vips", Key: "a"}})
	}
	for _, now := range []string{netstring("TEMP LDAP is away"), "", netstring("NOTFOUND "), netstring("OK ")} {
		answer.Store(now)
		ask()
		ask()
	}
	want := journal{at + " does not answer: mail that depends on it is held for the longest grace that was possible",
		at + " answers again"}
	if !slices.Equal(told, want) {
		t.Errorf("%q", told)
	}
}

func TestSocketmapsAreWrittenAsInThePostfixManual(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"socketmap:unix:/run/x/m.sock:people":    "unix /run/x/m.sock people",
		"socketmap:inet:127.0.0.1:8893:people":   "tcp 127.0.0.1:8893 people",
		"socketmap:inet:[::1]:8893:people":       "tcp [::1]:8893 people",
		"socketmap:inet:ldap.corp.test:8893:a.b": "tcp ldap.corp.test:8893 a.b",
		"socketmap:unix:relative:people":         "",
		"socketmap:unix:/path":                   "",
		"socketmap:inet:127.0.0.1:people":        "",
		"socketmap:inet:127.0.0.1:0:people":      "",
		"socketmap:inet:127.0.0.1:8893:":         "",
		"socketmap:inet:127.0.0.1:8893:a b":      "",
		"socketmap:":                             "",
		"vips.txt":                               "",
	} {
		network, address, name, err := Parse(text)
		if got := strings.TrimSpace(network + " " + address + " " + name); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{netstring("OK 10m"), netstring("NOTFOUND "), "3:OK", "00000:,", "5:OK 1,2:TEMP,"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		answer, err := readNetstring(bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			return
		}
		if !strings.Contains(text, ":"+answer+",") || len(answer) > maxAnswer {
			t.Errorf("%q is read as %q", text, answer)
		}
		if a, err := read(answer); (err == nil) != a.Known || a.Found && !strings.HasPrefix(answer, "OK") {
			t.Errorf("%q: %+v, %v", answer, a, err)
		}
	})
}
