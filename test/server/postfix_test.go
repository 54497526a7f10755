package server

import (
	"net/smtp"
	"strings"
	"testing"
)

func TestMailThroughPostfixReachesTheSink(t *testing.T) {
	sink := StartSink(t)
	p := StartPostfix(t, "127.0.0.1:1", sink.Addr)
	err := smtp.SendMail(p.Reinject, nil, "a@corp.test", []string{"b@x.test"}, []byte("Subject: hello\r\n\r\nbody\r\n"))
	if err != nil {
		t.Fatalf("%v\n%s", err, p.Log())
	}
	Eventually(t, "the message arrives", func() bool { return len(sink.Got()) == 1 })
	if got := string(sink.Got()[0].Data); !strings.Contains(got, "Subject: hello") {
		t.Error(got)
	}
	if err := smtp.SendMail(p.SMTP, nil, "a@corp.test", []string{"b@x.test"},
		[]byte("Subject: hello\r\n\r\nbody\r\n")); err == nil {
		t.Error("mail was taken although the milter is away and the default action is tempfail")
	}
}
