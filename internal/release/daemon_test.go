package release

import (
	"testing"

	"github.com/recall-milter/recall-milter/internal/mark"
)

func TestMailOfAServiceWithAPortOfItsOwnLeavesThere(t *testing.T) {
	all, submission, own := startPort(t, nil), startPort(t, nil), startPort(t, nil)
	s := &sender{loop: New(&memory{content: message}, mark.New([]byte("secret")), &notes{},
		Options{SMTP: all.addr, OwnSMTP: own.addr, ByDaemon: map[string]string{"ORIGINATING": submission.addr}})}
	t.Cleanup(s.hangUp)
	for _, daemon := range []string{"gw.corp.test", "ORIGINATING", "ORIGINATING", ""} {
		c := claim("b@x.test")
		c.Daemon = daemon
		s.release(t.Context(), t.Context(), c)
	}
	report := claim("b@x.test")
	report.Rule, report.Daemon = "report", "ORIGINATING"
	s.release(t.Context(), t.Context(), report)
	for name, c := range map[string]struct {
		port *port
		want int
	}{"all others": {all, 2}, "the service": {submission, 2}, "the gateway's own": {own, 1}} {
		if _, data := c.port.got(); len(data) != c.want {
			t.Errorf("%s: %d messages, want %d", name, len(data), c.want)
		}
	}
}
