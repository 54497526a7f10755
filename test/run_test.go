package test

import (
	"bytes"
	"net"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// trial is what "make run" starts, in a folder of its own.
type trial struct {
	t         *testing.T
	dir, said string
	smtp      string
	ended     chan error
	pid       int
}

// startTrial starts it with the programs of a folder.
func startTrial(t *testing.T, programs string) *trial {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, as make run does")
	}
	server.Program(t, "postfix")
	parent, err := os.MkdirTemp("", "make-run") // Postfix's users go through it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(parent) })
	r := &trial{t: t, dir: filepath.Join(parent, "run"), said: filepath.Join(parent, "said"), smtp: server.FreeAddr(t),
		ended: make(chan error, 1)}
	run := exec.Command("run/gateway")
	run.Env = append(os.Environ(), "RUN_DIR="+r.dir, "PROGRAMS="+programs, "GRACE=1h", "SMTP_PORT="+port(r.smtp))
	for _, name := range []string{"REINJECT_PORT", "MILTER_PORT", "REDIS_PORT", "WEB_PORT"} {
		run.Env = append(run.Env, name+"="+port(server.FreeAddr(t)))
	}
	out, err := os.Create(r.said)
	if err == nil {
		err = os.Chmod(parent, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	run.Stdout, run.Stderr = out, out
	run.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's Ctrl-C reaches all of a group
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	r.pid = run.Process.Pid
	go func() { r.ended <- run.Wait(); close(r.ended) }()
	t.Cleanup(func() { r.interrupt(); <-r.ended })
	return r
}

func port(address string) string { return address[strings.LastIndex(address, ":")+1:] }

func (r *trial) interrupt() { syscall.Kill(-r.pid, syscall.SIGINT) }

func (r *trial) words() string { text, _ := os.ReadFile(r.said); return string(text) }

// says waits for words of it.
func (r *trial) says(text string) {
	r.t.Helper()
	server.Eventually(r.t, "it says "+text, func() bool {
		if len(r.ended) > 0 {
			r.t.Fatalf("it ended: %s", r.words())
		}
		return strings.Contains(r.words(), text)
	})
}

func (r *trial) ctl(args ...string) string {
	r.t.Helper()
	c := exec.Command(filepath.Join(programs, "recallctl"),
		append([]string{"-c", filepath.Join(r.dir, "recall-milter.toml")}, args...)...)
	text, err := c.CombinedOutput()
	if err != nil {
		r.t.Errorf("recallctl %v: %v: %s", args, err, text)
	}
	return string(text)
}

// What "make run" starts holds, recalls and delivers as it says, is well, and leaves nothing behind at Ctrl-C.
func TestTheGatewayOfMakeRunDoesWhatItSays(t *testing.T) {
	t.Parallel()
	r := startTrial(t, programs)
	r.says("Ctrl-C ends all of it.")
	for _, name := range []string{"early", "late"} {
		if err := smtp.SendMail(r.smtp, nil, "a@corp.test", []string{"b@example.test"},
			[]byte("Subject: "+name+"\r\n\r\nx\r\n")); err != nil {
			t.Fatal(err)
		}
	}
	second := exec.Command("run/gateway") // which would end the first one, and remove its mail
	second.Env = append(os.Environ(), "RUN_DIR="+r.dir)
	for _, name := range []string{"SMTP_PORT", "REINJECT_PORT", "MILTER_PORT", "REDIS_PORT", "WEB_PORT"} {
		second.Env = append(second.Env, name+"="+port(server.FreeAddr(t)))
	}
	if out, err := second.CombinedOutput(); err == nil || !strings.Contains(string(out), "a gateway runs in "+r.dir) {
		t.Fatalf("a second one in its folder: %v: %s", err, out)
	}
	r.ctl("recall", "--subject", "early")
	r.ctl("release", "--subject", "late")
	r.says(": release: id=")
	server.Eventually(t, "what is released arrives", func() bool {
		inbox, _ := os.ReadFile(filepath.Join(r.dir, "world/inbox"))
		return bytes.Contains(inbox, []byte("Subject: late")) && !bytes.Contains(inbox, []byte("Subject: early"))
	})
	if text := r.ctl("doctor", "--postfix", filepath.Join(r.dir, "conf")); !strings.Contains(text, "0 errors,") {
		t.Errorf("doctor: %s", text)
	}
	r.interrupt()
	if err := <-r.ended; err != nil {
		t.Errorf("its end: %v: %s", err, r.words())
	}
	if _, err := os.Stat(r.dir); err == nil {
		t.Error("its folder is left")
	}
	if c, err := net.Dial("tcp", r.smtp); err == nil {
		c.Close()
		t.Error("its Postfix is left")
	}
	if left, _ := exec.Command("pgrep", "-f", r.dir).Output(); len(left) > 0 {
		t.Errorf("processes are left: %s", left)
	}
}

// A server of it that dies is named, with its last words, also if it dies before anything watches it.
func TestTheGatewayOfMakeRunNamesAServerThatDied(t *testing.T) {
	t.Parallel()
	folder, err := filepath.Abs(programs)
	if err != nil {
		t.Fatal(err)
	}
	// The script asks for a link when all servers answer, and watches them after that.
	deadly := t.TempDir()
	dies := "#!/bin/sh\n[ \"$3\" != link ] || pkill -KILL -f \"/recall-web -c $2\"\nexec " + folder + "/recallctl \"$@\"\n"
	for _, err := range []error{os.WriteFile(filepath.Join(deadly, "recallctl"), []byte(dies), 0o755),
		os.Symlink(filepath.Join(folder, "recall-milter"), filepath.Join(deadly, "recall-milter")),
		os.Symlink(filepath.Join(folder, "recall-web"), filepath.Join(deadly, "recall-web"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, programs := range map[string]string{"early": deadly, "late": folder} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startTrial(t, programs)
			if name == "late" {
				r.says("Ctrl-C ends all of it.")
				if out, err := exec.Command("pkill", "-KILL", "-f", "/recall-web -c "+r.dir).CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			}
			server.Eventually(t, "it ends", func() bool { return len(r.ended) > 0 })
			if err := <-r.ended; err == nil || !strings.Contains(r.words(), "\nrecall-web has ended by itself") {
				t.Errorf("%v: %s", err, r.words())
			}
		})
	}
}
