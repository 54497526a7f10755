package server

import (
	"net/smtp"
	"strings"
	"testing"
)

func TestMailThroughSendmailReachesTheSink(t *testing.T) {
	sink := StartSink(t)
	s := StartSendmail(t, "../../packaging/sendmail/recall-milter.m4", "127.0.0.1:1", sink.Addr)
	text := []byte("Subject: hello\r\n\r\nbody\r\n")
	if err := smtp.SendMail(s.Reinject, nil, "a@corp.test", []string{"b@x.test"}, text); err != nil {
		t.Fatalf("%v\n%s", err, s.Log())
	}
	Eventually(t, "the message arrives", func() bool { return len(sink.Got()) == 1 })
	if got := string(sink.Got()[0].Data); !strings.Contains(got, "Subject: hello") {
		t.Error(got)
	}
	if err := smtp.SendMail(s.SMTP, nil, "a@corp.test", []string{"b@x.test"}, text); err == nil {
		t.Error("mail was taken although the milter is away and F=T")
	}
}
