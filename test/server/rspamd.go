package server

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// Rspamd is one private Rspamd with the distribution's own configuration, as a milter.
type Rspamd struct {
	Milter string // host:port

	t   testing.TB
	log string
}

// StartRspamd starts one that asks a name server. local are the files of its folder local.d, by name.
func StartRspamd(t testing.TB, d *DNS, local map[string]string) *Rspamd {
	t.Helper()
	dir := t.TempDir()
	r := &Rspamd{Milter: FreeAddr(t), t: t, log: filepath.Join(dir, "log")}
	for _, sub := range []string{"db", "run", "conf/local.d", "conf/override.d"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range local {
		write(t, filepath.Join(dir, "conf/local.d", name), text)
	}
	for name, text := range r.alone(dir, d) {
		write(t, filepath.Join(dir, "conf/override.d", name), text)
	}
	r.run(dir)
	Eventually(t, "rspamd listens", func() bool {
		log, _ := os.ReadFile(r.log)
		return strings.Contains(string(log), "starting rspamd_proxy process")
	})
	return r
}

// alone are the settings with which it needs nothing but the test: the name server, one worker, no list of all domains
// in the world, for which it would compile ten seconds.
func (r *Rspamd) alone(dir string, d *DNS) map[string]string {
	write(r.t, filepath.Join(dir, "tld"), "test\n")
	off := "enabled = false;\n"
	return map[string]string{
		"options.inc": fmt.Sprintf("dns { nameserver = [%q]; }\nurl_tld = %q;;\n",
			d.Addr, filepath.Join(dir, "tld")),
		"worker-proxy.inc": fmt.Sprintf("bind_socket = %q;\nmilter = yes;\nupstream \"local\" { default = yes; "+
			"self_scan = yes; }\n", r.Milter),
		"worker-normal.inc":     off,
		"worker-controller.inc": off,
		"logging.inc":           "type = \"console\";\n",
	}
}

func (r *Rspamd) run(dir string) {
	r.t.Helper()
	out, err := os.Create(r.log)
	if err != nil {
		r.t.Fatal(err)
	}
	defer out.Close()
	args := []string{"-f", "-i", "-c", "/etc/rspamd/rspamd.conf"}
	for name, sub := range map[string]string{"LOCAL_CONFDIR": "conf", "DBDIR": "db", "RUNDIR": "run", "LOGDIR": "run"} {
		args = append(args, "--var="+name+"="+filepath.Join(dir, sub))
	}
	c := exec.Command(Program(r.t, "rspamd"), args...)
	c.Stdout, c.Stderr = out, out
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its workers too
	if err := c.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { syscall.Kill(-c.Process.Pid, syscall.SIGKILL); c.Wait() })
}

// Judgement is what Rspamd thinks of a message.
type Judgement struct {
	Action  string // "no action", "add header", "reject", ...
	Score   string
	Symbols string // as in its log: NAME(score){options;},...
}

// Has says whether a symbol was found, whatever its score.
func (j Judgement) Has(symbol string) bool { return strings.Contains(","+j.Symbols, ","+symbol+"(") }

var judged = regexp.MustCompile(`id: <([^>]*)>.*?\(default: [TFS] \(([^)]*)\): \[([^/]*)/[^\]]*\] \[(.*?)\]\)`)

// Judgements returns what Rspamd thought of the messages with a Message-ID, in the order in which they came.
func (r *Rspamd) Judgements(messageID string) (all []Judgement) {
	log, _ := os.ReadFile(r.log)
	for _, m := range judged.FindAllStringSubmatch(string(log), -1) {
		if m[1] == messageID {
			all = append(all, Judgement{m[2], m[3], m[4]})
		}
	}
	return all
}

// Log returns what it has logged so far.
func (r *Rspamd) Log() string {
	log, _ := os.ReadFile(r.log)
	return string(log)
}
