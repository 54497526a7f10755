// Package server starts the real servers that tests talk to: each on loopback, in a folder of its own,
// and ended by its process id when the test ends.
package server

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Redis is one private redis-server, durable as the daemon demands unless extra says otherwise.
type Redis struct {
	Addr   string // 127.0.0.1:port
	Secure string // host:port with TLS; empty: there is none
	Dir    string

	t       testing.TB
	args    []string
	environ []string // nil: the test's own
	cmd     *exec.Cmd
	ended   chan struct{}
}

// StartRedis starts a redis-server with AOF, appendfsync always and noeviction; extra are further
// command line settings ("--maxmemory", "10mb"), which win over these.
func StartRedis(t testing.TB, extra ...string) *Redis {
	t.Helper()
	return startRedis(t, nil, extra...)
}

// startSecure is startRedis with TLS, unless s is nil.
func startSecure(t testing.TB, environ []string, s *TLS, extra ...string) *Redis {
	t.Helper()
	if s == nil {
		return startRedis(t, environ, extra...)
	}
	addr, args := FreeAddr(t), []string{}
	for _, line := range s.lines(addr) {
		name, value, _ := strings.Cut(line, " ")
		args = append(args, "--"+name, value)
	}
	r := startRedis(t, environ, append(args, extra...)...)
	r.Secure = s.hosted(addr)
	return r
}

func startRedis(t testing.TB, environ []string, extra ...string) *Redis {
	t.Helper()
	r := &Redis{t: t, Dir: t.TempDir(), Addr: FreeAddr(t), environ: environ}
	_, port, _ := strings.Cut(r.Addr, ":")
	r.args = append([]string{"--port", port, "--bind", "127.0.0.1", "--dir", r.Dir, "--save", "",
		"--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction",
		"--logfile", filepath.Join(r.Dir, "redis.log")}, extra...)
	r.Start()
	t.Cleanup(r.Kill)
	return r
}

// PID is the process id of the server that runs now.
func (r *Redis) PID() int { return r.cmd.Process.Pid }

// reached is where clients and other servers reach a server: with TLS, when it has it.
func (r *Redis) reached() string { return cmp.Or(r.Secure, r.Addr) }

// Start starts the server (again) and waits until it has loaded its data.
func (r *Redis) Start() {
	r.t.Helper()
	r.StartLoading()
	Eventually(r.t, "redis has loaded its data", func() bool { return !loading(r.ask("", "PING")) })
}

// StartLoading starts the server (again) and waits until it answers, be it that it loads its data.
func (r *Redis) StartLoading() {
	r.t.Helper()
	r.cmd = exec.Command(Program(r.t, "redis-server"), r.args...)
	r.cmd.Env = r.environ
	r.ended = make(chan struct{})
	if err := r.cmd.Start(); err != nil {
		r.t.Fatalf("redis-server does not start: %v", err)
	}
	go func(c *exec.Cmd, ended chan struct{}) { c.Wait(); close(ended) }(r.cmd, r.ended)
	Eventually(r.t, "redis answers PING", func() bool {
		select {
		case <-r.ended:
			log, _ := os.ReadFile(filepath.Join(r.Dir, "redis.log"))
			r.t.Fatalf("redis-server ended at once:\n%s", log)
		default:
		}
		return r.ask("", "PING") != "" // NOAUTH is an answer too
	})
}

// Do sends one command to the running server and returns its reply as it stands in the protocol. It waits while the
// server loads its data, as a replica does that has just found its primary.
func (r *Redis) Do(command string) (reply string) {
	r.t.Helper()
	Eventually(r.t, "redis has loaded its data for "+command, func() bool {
		var err error
		if reply, err = r.tell("", command, time.Minute); err != nil {
			r.t.Fatalf("%s: %v", command, err)
		}
		return !loading(reply)
	})
	if reply[0] == '-' {
		r.t.Fatalf("%s: %q", command, reply)
	}
	return reply
}

// ask is Do with a login, "user password" or "". It takes an error for an answer, and says "" when the server does not
// answer in a second.
func (r *Redis) ask(login, command string) string {
	reply, _ := r.tell(login, command, time.Second)
	return reply
}

func (r *Redis) tell(login, command string, patience time.Duration) (reply string, err error) {
	c, err := net.DialTimeout("tcp", r.Addr, patience)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	replies := bufio.NewReader(c)
	if login != "" {
		fmt.Fprintf(c, "AUTH %s\r\n", login)
		if _, err := readReply(replies); err != nil {
			return "", err
		}
	}
	fmt.Fprint(c, command+"\r\n")
	return readReply(replies)
}

// loading says whether a reply is that the server loads its data, or is none.
func loading(reply string) bool { return reply == "" || strings.HasPrefix(reply, "-LOADING") }

// readReply reads one whole reply.
func readReply(r *bufio.Reader) (reply string, err error) {
	if reply, err = r.ReadString('\n'); err != nil {
		return "", err
	}
	n, _ := strconv.Atoi(strings.TrimSpace(reply[1:]))
	switch {
	case reply[0] == '$' && n >= 0:
		value := make([]byte, n+len("\r\n"))
		_, err = io.ReadFull(r, value)
		reply += string(value)
	case reply[0] == '*':
		for range n {
			item, err := readReply(r)
			if err != nil {
				return "", err
			}
			reply += item
		}
	}
	return reply, err
}

// NextStart adds settings for the next start.
func (r *Redis) NextStart(extra ...string) { r.args = append(r.args, extra...) }

// Kill ends the server at once (SIGKILL) and waits for its end. Killing a dead server is not an error.
func (r *Redis) Kill() { r.end(syscall.SIGKILL) }

// Stop ends the server in order (SIGTERM) and waits for its end.
func (r *Redis) Stop() { r.end(syscall.SIGTERM) }

// Restart kills the server and starts it on the same port and data.
func (r *Redis) Restart() { r.Kill(); r.Start() }

// RestartLoading is Restart that does not wait until the data are loaded.
func (r *Redis) RestartLoading() { r.Kill(); r.StartLoading() }

// Pause stops the process (SIGSTOP): connections stay open and nothing is answered.
func (r *Redis) Pause() { r.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume lets a paused server go on.
func (r *Redis) Resume() { r.cmd.Process.Signal(syscall.SIGCONT) }

func (r *Redis) end(sig syscall.Signal) {
	r.cmd.Process.Signal(syscall.SIGCONT)
	r.cmd.Process.Signal(sig)
	<-r.ended
}

// Program returns the path of a server program, looking where daemons live too.
func Program(t testing.TB, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/lib/postfix/sbin", "/usr/local/sbin"} {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			return path
		}
	}
	t.Fatalf("%s is not installed: run make deps", name)
	return ""
}
