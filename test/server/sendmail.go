package server

import (
	_ "embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Sendmail is one private Sendmail with the lines of packaging/sendmail: a port with the milter under test, and a
// re-injection port without it.
type Sendmail struct {
	SMTP     string // the port that clients submit to
	Reinject string // the port without milters
	Dir      string

	t     testing.TB
	root  string // where Debian's packages were unpacked
	cmd   *exec.Cmd
	ended chan struct{}
}

// StartSendmail starts a Sendmail that asks the milter at host:port and relays every message to the SMTP server at
// nextHop. example is the path of recall-milter.m4; logins are who may log in, with Password.
func StartSendmail(t testing.TB, example, milter, nextHop string, logins ...string) *Sendmail {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("a private Sendmail needs root")
	}
	dir, err := os.MkdirTemp("", "sendmail")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &Sendmail{t: t, Dir: dir, root: unpacked(t, "sendmail"), SMTP: FreeAddr(t), Reinject: FreeAddr(t)}
	for _, sub := range []string{"queue", "conf"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.write("aliases", "")
	s.write("service.switch", "hosts\tfiles\naliases\tfiles\n") // no DNS: where it does not answer, mail would wait
	s.write("sendmail.mc", s.mc(example, milter, nextHop))
	s.build()
	s.letIn(logins)
	s.Start()
	t.Cleanup(s.Kill)
	return s
}

// unpacked returns the folder that test/deps/unpack made.
func unpacked(t testing.TB, name string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	folder := filepath.Join(cache, "recall-milter", name)
	if _, err := os.Stat(folder); err != nil {
		t.Fatalf("%s is not unpacked: run make deps: %v", name, err)
	}
	return folder
}

func (s *Sendmail) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(s.File(name), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// mc is the site's sendmail.mc, around the example with the ports of this test.
func (s *Sendmail) mc(example, milter, nextHop string) string {
	lines, err := os.ReadFile(example)
	if err != nil {
		s.t.Fatal(err)
	}
	port := func(addr string) string { _, p, _ := net.SplitHostPort(addr); return p }
	ours := strings.NewReplacer("inet:8890@", "inet:"+port(milter)+"@", "Port=10026", "Port="+port(s.Reinject),
		"Port=25", "Addr=127.0.0.1, Listen=100, Port="+port(s.SMTP)).Replace(string(lines))
	return fmt.Sprintf("define(`_CF_DIR_', `%[1]s/usr/share/sendmail/cf/')dnl\n"+
		"include(_CF_DIR_`'m4/cf.m4)dnl\n"+
		"OSTYPE(`linux')dnl\n"+
		"define(`QUEUE_DIR', `%[2]s/queue')dnl\n"+
		"define(`STATUS_FILE', `%[2]s/statistics')dnl\n"+
		"define(`ALIAS_FILE', `text:%[2]s/conf/aliases')dnl\n"+
		"define(`confPID_FILE', `%[2]s/pid')dnl\n"+
		"define(`confSERVICE_SWITCH_FILE', `%[2]s/conf/service.switch')dnl\n"+
		"define(`confDOMAIN_NAME', `gw.corp.test')dnl\n"+
		"define(`confDONT_PROBE_INTERFACES', `True')dnl\n"+
		"define(`confDONT_BLAME_SENDMAIL', `GroupWritableDirPathSafe')dnl\n"+
		"define(`confTO_IDENT', `0')dnl\n"+
		// else it refuses mail on a machine under load
		"define(`confREFUSE_LA', `999')dnl\ndefine(`confQUEUE_LA', `999')dnl\n"+
		"define(`confAUTH_MECHANISMS', `PLAIN')dnl\nTRUST_AUTH_MECH(`PLAIN')dnl\n"+
		"define(`confMAX_MESSAGE_SIZE', `104857600')dnl\n"+
		"define(`SMART_HOST', `[127.0.0.1]')dnl\n"+
		"define(`RELAY_MAILER_ARGS', `TCP $h %[3]s')dnl\n"+
		"FEATURE(`no_default_msa')dnl\nFEATURE(`nocanonify')dnl\n"+
		"FEATURE(`promiscuous_relay')dnl\nFEATURE(`accept_unresolvable_domains')dnl\n"+
		"%[4]s\nMAILER(`smtp')dnl\n", s.root, s.Dir, port(nextHop), ours)
}

// hostname is the source of what is preloaded; a file next to this one would be taken for cgo's.
//
//go:embed hostname.c.txt
var hostname string

// build makes sendmail.cf of sendmail.mc, and a copy of the program without setgid, which forbids to preload.
func (s *Sendmail) build() {
	s.t.Helper()
	s.write("hostname.c", hostname)
	s.run("cc", "-shared", "-fPIC", "-DFOLDER=\""+filepath.Join(s.Dir, "conf")+"\"", "-o", s.File("hostname.so"),
		s.File("hostname.c"))
	s.run("cp", filepath.Join(s.root, "usr/libexec/sendmail/sendmail"), s.File("sendmail"))
	cf, err := exec.Command(Program(s.t, "m4"), s.File("sendmail.mc")).Output()
	if err != nil {
		s.t.Fatalf("m4: %v", err)
	}
	s.write("sendmail.cf", string(cf))
}

// letIn makes logins known.
func (s *Sendmail) letIn(logins []string) {
	s.t.Helper()
	if len(logins) == 0 {
		return
	}
	for _, login := range logins {
		c := exec.Command(filepath.Join(unpacked(s.t, "sasl"), "usr/sbin/saslpasswd2"), "-c", "-p", "-f", s.File("sasldb"),
			"-u", "gw.corp.test", login)
		c.Stdin = strings.NewReader(Password)
		if out, err := c.CombinedOutput(); err != nil {
			s.t.Fatalf("saslpasswd2: %v\n%s", err, out)
		}
	}
}

// File is a file of its configuration.
func (s *Sendmail) File(name string) string { return filepath.Join(s.Dir, "conf", name) }

func (s *Sendmail) run(name string, args ...string) {
	s.t.Helper()
	if out, err := exec.Command(Program(s.t, name), args...).CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// Command returns a run of the sendmail program with this configuration.
func (s *Sendmail) Command(args ...string) *exec.Cmd {
	c := exec.Command(s.File("sendmail"), append([]string{"-C", s.File("sendmail.cf")}, args...)...)
	c.Env = append(os.Environ(), "LD_PRELOAD="+s.File("hostname.so"))
	return c
}

// Start starts the daemon (again) and waits until both ports answer.
func (s *Sendmail) Start() {
	s.t.Helper()
	out, err := os.OpenFile(filepath.Join(s.Dir, "output"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close()
	s.cmd = s.Command("-bD", "-q1s", "-X", filepath.Join(s.Dir, "traffic"))
	s.cmd.Stdout, s.cmd.Stderr = out, out
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.ended = make(chan struct{})
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("sendmail does not start: %v", err)
	}
	go func() { s.cmd.Wait(); close(s.ended) }()
	for _, addr := range []string{s.SMTP, s.Reinject} {
		Eventually(s.t, "sendmail answers at "+addr, func() bool { return Greets(addr) })
	}
}

// Kill ends the whole process group at once.
func (s *Sendmail) Kill() {
	endGroup(s.t, s.cmd.Process.Pid)
	<-s.ended
}

// Log returns what Sendmail printed, and its SMTP traffic.
func (s *Sendmail) Log() string {
	output, _ := os.ReadFile(filepath.Join(s.Dir, "output"))
	traffic, _ := os.ReadFile(filepath.Join(s.Dir, "traffic"))
	return string(output) + string(traffic)
}
