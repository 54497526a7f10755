package server

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Postfix is one private Postfix: an smtpd with the milter under test in front, and a re-injection smtpd without it.
type Postfix struct {
	SMTP     string // the port that clients submit to
	Reinject string // the port without milters
	Own      string // the port for the gateway's own mails, with the milters of the setting own_milters
	Dir      string

	t     testing.TB
	cmd   *exec.Cmd
	ended chan struct{}
}

// StartPostfix starts a Postfix whose smtpd asks the milter at host:port and whose every message is relayed to the
// SMTP server at nextHop. settings are further main.cf lines, which win.
func StartPostfix(t testing.TB, milter, nextHop string, settings ...string) *Postfix {
	t.Helper()
	p := newPostfix(t)
	p.write("main.cf", overridden(p.mainCf(milter, nextHop), strings.Join(settings, "\n")+"\n"))
	p.write("master.cf", p.masterCf())
	p.Start()
	t.Cleanup(p.Kill)
	return p
}

func newPostfix(t testing.TB) *Postfix {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("a private Postfix needs root")
	}
	return &Postfix{t: t, Dir: postfixDir(t), SMTP: FreeAddr(t), Reinject: FreeAddr(t), Own: FreeAddr(t)}
}

// postfixDir returns the folder of a Postfix.
func postfixDir(t testing.TB) string {
	t.Helper()
	dir := openDir(t, "postfix")
	for _, sub := range []string{"conf", "spool"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	own(t, "postfix", filepath.Join(dir, "data"))
	return dir
}

// openDir returns a folder that a program's own user can reach: t.TempDir is closed to it.
func openDir(t testing.TB, program string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", program)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// own makes a folder that a user may write to.
func own(t testing.TB, name, dir string) {
	t.Helper()
	owner, err := user.Lookup(name)
	if err != nil {
		t.Fatalf("there is no user %s: run make deps: %v", name, err)
	}
	uid, _ := strconv.Atoi(owner.Uid)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, uid, -1); err != nil {
		t.Fatal(err)
	}
}

func (p *Postfix) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.Dir, "conf", name), []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

func (p *Postfix) mainCf(milter, nextHop string) string {
	host, port, _ := net.SplitHostPort(nextHop)
	return fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/spool
data_directory = %[1]s/data
maillog_file = /dev/stdout
maillog_file_prefixes = /dev
myhostname = gw.corp.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = loopback-only
inet_protocols = ipv4
relayhost = [%[2]s]:%[3]s
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_milters = inet:%[4]s
own_milters =
milter_default_action = tempfail
in_flow_delay = 0
alias_maps =
alias_database =
smtp_tls_security_level = none
smtpd_peername_lookup = no
smtp_host_lookup = native
message_size_limit = 104857600
mailbox_size_limit = 0
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
smtputf8_enable = yes
`, p.Dir, host, port, milter)
}

// overridden leaves out what further settings say again: Postfix warns of it in every line of its log.
func overridden(main, settings string) string {
	var kept strings.Builder
	for line := range strings.Lines(main) {
		name, _, _ := strings.Cut(line, " =")
		if !strings.Contains("\n"+settings, "\n"+name+" =") {
			kept.WriteString(line)
		}
	}
	return kept.String() + settings
}

func (p *Postfix) masterCf() string {
	return fmt.Sprintf("%s inet n - n - 100 smtpd\n", p.SMTP) +
		fmt.Sprintf("%s inet n - n - 100 smtpd\n", p.Reinject) +
		"  -o smtpd_milters=\n  -o receive_override_options=no_milters,no_header_body_checks\n" +
		"  -o smtpd_authorized_xforward_hosts=127.0.0.0/8\n" +
		fmt.Sprintf("%s inet n - n - 100 smtpd\n", p.Own) + "  -o smtpd_milters=$own_milters\n" + servicesCf()
}

// servicesCf are the lines of master.cf that every site has.
func servicesCf() string {
	text := "pickup unix n - n 60 1 pickup\nqmgr unix n - n 300 1 qmgr\ncleanup unix n - n - 0 cleanup\n" +
		"postlog unix-dgram n - n - 1 postlogd\nflush unix n - n - 0 flush\nshowq unix n - n - - showq\n" +
		"defer unix - - n - 0 bounce\nretry unix - - n - - error\nrewrite unix - - n - - trivial-rewrite\n" +
		"bounce unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\nanvil unix - - n - 1 anvil\nscache unix - - n - 1 " +
		"scache\ntlsmgr unix - - n 1000? 1 tlsmgr\n"
	for _, name := range []string{"smtp", "lmtp", "error", "discard", "proxymap"} {
		text += name + " unix - - n - - " + name + "\n"
	}
	return text + "relay unix - - n - - smtp\nverify unix - - n - 1 verify\nlocal unix - n n - - local\n"
}

// Command returns a run of the sendmail program with this configuration.
func (p *Postfix) Command(args ...string) *exec.Cmd {
	return exec.Command(Program(p.t, "sendmail"), append([]string{"-C", filepath.Join(p.Dir, "conf")}, args...)...)
}

// Start starts the master process (again) and waits until both ports answer.
func (p *Postfix) Start() {
	p.t.Helper()
	out, err := os.OpenFile(filepath.Join(p.Dir, "maillog"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := out.Chmod(0o666); err != nil { // after a kill, postsuper reports what is left as Postfix's own user
		p.t.Fatal(err)
	}
	defer out.Close()
	p.cmd = exec.Command(Program(p.t, "postfix"), "-c", filepath.Join(p.Dir, "conf"), "start-fg")
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.ended = make(chan struct{})
	if err := p.cmd.Start(); err != nil {
		p.t.Fatalf("postfix does not start: %v", err)
	}
	go func(c *exec.Cmd, ended chan struct{}) { c.Wait(); close(ended) }(p.cmd, p.ended)
	for _, addr := range []string{p.SMTP, p.Reinject} {
		if addr == "" {
			continue
		}
		Eventually(p.t, "postfix answers at "+addr+"\n"+p.Log(), func() bool {
			select {
			case <-p.ended:
				p.t.Fatalf("postfix ended at once:\n%s", p.Log())
			default:
			}
			return Greets(addr)
		})
	}
}

// Greets says whether an SMTP server answers at host:port.
func Greets(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	buf := make([]byte, 4)
	_, err = c.Read(buf)
	fmt.Fprint(c, "QUIT\r\n")
	return err == nil && string(buf[:3]) == "220"
}

// Kill ends the whole process group at once.
func (p *Postfix) Kill() {
	if pid, err := os.ReadFile(filepath.Join(p.Dir, "spool/pid/master.pid")); err == nil {
		if n, err := strconv.Atoi(strings.TrimSpace(string(pid))); err == nil && n > 1 {
			endGroup(p.t, n) // daemons share the master's group
		}
	}
	endGroup(p.t, p.cmd.Process.Pid)
	<-p.ended
}

// Log returns what Postfix has logged so far.
func (p *Postfix) Log() string {
	text, _ := os.ReadFile(filepath.Join(p.Dir, "maillog"))
	return string(text)
}
