//go:build bench

package test

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// TestBenchWeb measures the page with 100,000 held: from the POST of a click until the store has recalled the message,
// what a browser loads first, the list of somebody with 1,000 messages, and the memory of 1,000 streams of events.
func TestBenchWeb(t *testing.T) {
	const held, own, clicks, listeners, perPerson = 100_000, 1000, 300, 1000, 20
	b := newStoreBench(t)
	var ids []string
	for range own {
		ids = append(ids, b.hold(4096, 20*time.Hour, "anna"))
	}
	b.fill(held)
	address := server.FreeAddr(t)
	w := &benchSite{t: t, base: "http://" + address}
	w.start(fmt.Sprintf("[redis]\naddresses = [%q]\ndurability = \"relaxed\"\n[web]\nlisten = [%q]\nbase_url = %q\n"+
		"[web.sign_in]\nheader = \"X-User\"\n", b.redis.Addr, address, w.base))
	page := w.get("anna", "/m/"+ids[0])
	bytes := len(page)
	for _, asset := range regexp.MustCompile(`/static/[^"]*`).FindAllString(page, -1) {
		bytes += len(w.get("anna", asset))
	}
	t.Logf("page of one message: %.1f KB, one round trip (aim 14.3); with style sheet, script and picture, which a "+
		"browser keeps: %.1f KB (aim 40)", float64(len(page))/1024, float64(bytes)/1024)
	var list, click []time.Duration
	for range 50 {
		start := time.Now()
		w.get("anna", "/")
		list = append(list, time.Since(start))
	}
	t.Logf("list of a person with %d messages: p50 %v, p99 %v (aim 100ms)", own, quantile(list, 50), quantile(list, 99))
	for _, id := range ids[:clicks] {
		start := time.Now()
		w.do("POST", "anna", "/m/"+id, "act=recall") // answered when it is recalled
		click = append(click, time.Since(start))
	}
	t.Logf("click to recalled, %d held: p50 %v, p99 %v (aim p99 50ms)", held, quantile(click, 50), quantile(click, 99))
	before := w.memory("RssAnon")
	for n := range listeners {
		login := fmt.Sprintf("user%d", n/perPerson)
		r := w.request("GET", login, "/api/v1/events", "")
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("stream %d: %v %v", n, err, answer)
		}
		t.Cleanup(func() { answer.Body.Close() })
		if _, err := bufio.NewReader(answer.Body).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	after := w.memory("RssAnon")
	t.Logf("%d streams of events: %d MB more, with all other data of the program %d MB (aim 64 MB); and %d MB of its "+
		"code, %s in all at most", listeners, (after-before)>>10, after>>10, w.memory("RssFile")>>10, peakOf(w.pid))
}

// benchSite is a page that works on a store without a gateway.
type benchSite struct {
	t    *testing.T
	base string
	pid  int
}

func (w *benchSite) start(config string) {
	file := filepath.Join(w.t.TempDir(), "recall-milter.toml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		w.t.Fatal(err)
	}
	c := exec.Command(filepath.Join(programs, "recall-web"), "-c", file)
	if err := c.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.pid = c.Process.Pid
	w.t.Cleanup(func() { c.Process.Signal(syscall.SIGTERM); c.Wait() })
	server.Eventually(w.t, "the page answers", func() bool {
		answer, err := http.Get(w.base + "/sign-in")
		if err == nil {
			answer.Body.Close()
		}
		return err == nil
	})
}

func (w *benchSite) request(method, login, path, form string) *http.Request {
	r, err := http.NewRequest(method, w.base+path, strings.NewReader(form))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("X-User", login)
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

func (w *benchSite) get(login, path string) string { return w.do("GET", login, path, "") }

// do makes a request without following where its answer leads.
func (w *benchSite) do(method, login, path, form string) string {
	answer, err := http.DefaultTransport.RoundTrip(w.request(method, login, path, form))
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	var text strings.Builder
	if _, err := bufio.NewReader(answer.Body).WriteTo(&text); err != nil || answer.StatusCode >= 400 {
		w.t.Fatalf("%s %s: %d %v", method, path, answer.StatusCode, err)
	}
	return text.String()
}

// memory is a line of the status of the page's program, in KB: its data are in RssAnon, and RssFile is read from its
// file.
func (w *benchSite) memory(line string) (kilobytes int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.pid))
	_, value, _ := strings.Cut(string(text), line+":")
	fmt.Sscan(value, &kilobytes)
	return kilobytes
}
