package server

import (
	"net"
	"net/textproto"
	"os/exec"
	"path/filepath"
	"testing"

	gomilter "github.com/emersion/go-milter"
)

// StartSite starts a Postfix that knows nothing of us, with one smtpd and the lines of a site: main.cf lines, which
// win, and master.cf lines behind the usual ones. Its every message is relayed to nextHop.
func StartSite(t testing.TB, nextHop, main, master string) *Postfix {
	t.Helper()
	p := newPostfix(t)
	p.Reinject = ""
	p.write("main.cf", overridden(p.mainCf("127.0.0.1:1", nextHop), "smtpd_milters =\nin_flow_delay = 1s\n"+main))
	p.write("master.cf", p.SMTP+" inet n - n - 100 smtpd\n"+servicesCf()+master)
	p.Start()
	t.Cleanup(func() { p.Kill() })
	return p
}

// Conf is its configuration folder.
func (p *Postfix) Conf() string { return filepath.Join(p.Dir, "conf") }

// Flush has it try all mail of its queue again, as after an outage.
func (p *Postfix) Flush() {
	p.t.Helper()
	if out, err := exec.Command(Program(p.t, "postqueue"), "-c", p.Conf(), "-f").CombinedOutput(); err != nil {
		p.t.Fatalf("postqueue -f: %v\n%s", err, out)
	}
}

// editor is a milter that accepts everything and edits it at the end.
type editor struct {
	gomilter.NoOpMilter
	sender string
	edit   func(sender string, m *gomilter.Modifier)
}

func (e *editor) MailFrom(from string, _ *gomilter.Modifier) (gomilter.Response, error) {
	e.sender = from
	return gomilter.RespContinue, nil
}

func (e *editor) Headers(textproto.MIMEHeader, *gomilter.Modifier) (gomilter.Response, error) {
	return gomilter.RespContinue, nil
}

func (e *editor) Body(m *gomilter.Modifier) (gomilter.Response, error) {
	e.edit(e.sender, m)
	return gomilter.RespContinue, nil
}

// StartEditor starts a milter that edits each message as edit says for its sender, and returns its host:port.
func StartEditor(t testing.TB, actions gomilter.OptAction, edit func(sender string, m *gomilter.Modifier)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &gomilter.Server{Actions: actions, NewMilter: func() gomilter.Milter { return &editor{edit: edit} }}
	done := make(chan struct{})
	go func() { s.Serve(l); close(done) }()
	t.Cleanup(func() { s.Close(); <-done })
	return l.Addr().String()
}
