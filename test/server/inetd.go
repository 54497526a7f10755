package server

import (
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
)

// Inetd runs a program for each connection, as systemd does for a socket with Accept=yes.
type Inetd struct {
	Addr string

	t        testing.TB
	environ  []string
	command  []string
	listener net.Listener
	served   sync.WaitGroup

	mu      sync.Mutex
	running map[*exec.Cmd]bool // nil: it is stopped
}

// StartInetd listens for a program, with more variables in its environment, until the test ends.
func StartInetd(t testing.TB, environ []string, command ...string) *Inetd {
	t.Helper()
	d := &Inetd{Addr: FreeAddr(t), t: t, environ: append(os.Environ(), environ...), command: command}
	d.Start()
	t.Cleanup(d.Stop)
	return d
}

// Start listens again.
func (d *Inetd) Start() {
	d.t.Helper()
	var err error
	if d.listener, err = net.Listen("tcp", d.Addr); err != nil {
		d.t.Fatal(err)
	}
	d.mu.Lock()
	d.running = map[*exec.Cmd]bool{}
	d.mu.Unlock()
	d.served.Add(1)
	go d.accept(d.listener)
}

// Stop ends the listener and, with SIGKILL, all that it has started.
func (d *Inetd) Stop() {
	d.listener.Close()
	d.mu.Lock()
	for c := range d.running {
		syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
	}
	d.running = nil
	d.mu.Unlock()
	d.served.Wait()
}

func (d *Inetd) accept(l net.Listener) {
	defer d.served.Done()
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		d.served.Add(1)
		go d.serve(c.(*net.TCPConn))
	}
}

func (d *Inetd) serve(conn *net.TCPConn) {
	defer d.served.Done()
	file, err := conn.File()
	conn.Close()
	if err != nil {
		return
	}
	defer file.Close()
	c := exec.Command(d.command[0], d.command[1:]...)
	c.Env, c.Stdin, c.Stdout = d.environ, file, file
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	d.mu.Lock()
	if d.running == nil || c.Start() != nil {
		d.mu.Unlock()
		return
	}
	d.running[c] = true
	d.mu.Unlock()
	file.Close()
	c.Wait()
	d.mu.Lock()
	delete(d.running, c)
	d.mu.Unlock()
}
