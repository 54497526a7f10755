package release

import (
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

func TestReceivedTellsTheHopThatPostfixHides(t *testing.T) {
	pc := holdstore.Client{Address: "192.0.2.7", Name: "pc.corp.test", HELO: "pc"}
	one, two := []holdstore.Path{{Address: "b@x.test"}}, []holdstore.Path{{Address: "b@x.test"},
		{Address: "secret@x.test"}}
	for name, c := range map[string]struct {
		s    holdstore.Submission
		want string
	}{
		"one recipient": {holdstore.Submission{Client: pc, Recipients: one},
			"from pc (pc.corp.test [192.0.2.7])\r\n\tby gw.corp.test (Recall Milter) with ESMTP id MARK\r\n\tfor <b@x.test>; "},
		"several are nobody's business": {holdstore.Submission{Client: pc, Recipients: two},
			"from pc (pc.corp.test [192.0.2.7])\r\n\tby gw.corp.test (Recall Milter) with ESMTP id MARK; "},
		"login over TLS, IPv6": {holdstore.Submission{Client: holdstore.Client{Address: "2001:db8::7", Name: "unknown",
			HELO: "[IPv6:2001:db8::7]"}, TLS: "TLSv1.3", Login: "a", Recipients: two},
			"from [IPv6:2001:db8::7] (unknown [IPv6:2001:db8::7])\r\n\tby gw.corp.test (Recall Milter) with ESMTPSA id MARK; "},
		"international": {holdstore.Submission{Client: pc,
			Sender: holdstore.Path{Args: []string{"BODY=8BITMIME", "smtputf8"}}, Recipients: two},
			"from pc (pc.corp.test [192.0.2.7])\r\n\tby gw.corp.test (Recall Milter) with UTF8SMTP id MARK; "},
		"sendmail(1)": {holdstore.Submission{Recipients: two}, "by gw.corp.test (Recall Milter) with local id MARK; "},
		"a client that lies": {holdstore.Submission{Client: holdstore.Client{Address: "192.0.2.7",
			HELO: "x); Tue, 24 Nov\r\nX-Evil: 1"}, Recipients: two},
			"from x???Tue,?24?Nov??X-Evil:?1 (unknown [192.0.2.7])\r\n\tby gw.corp.test (Recall Milter) with ESMTP id MARK; "},
	} {
		c.s.Gateway = "gw.corp.test"
		got := received(&holdstore.Hold{Submission: c.s, HeldAt: time.Unix(0, 0)}, "MARK", ReceivedFull)
		if want := "Received: " + c.want + "Thu, 01 Jan 1970 00:00:00 +0000\r\n"; got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
}

func TestASiteDecidesWhatReceivedTellsOfItsClients(t *testing.T) {
	h := &holdstore.Hold{HeldAt: time.Unix(0, 0)}
	h.Submission = holdstore.Submission{Client: holdstore.Client{Address: "192.0.2.7", Name: "pc.corp.test", HELO: "pc"},
		Gateway: "gw.corp.test",
		Login:   "a", TLS: "TLSv1.3", Recipients: []holdstore.Path{{Address: "b@x.test"}}}
	for detail, want := range map[string]string{
		ReceivedShort: "Received: by gw.corp.test (Recall Milter) with ESMTPSA id MARK\r\n\tfor <b@x.test>; Thu, 01 Jan " +
			"1970 00:00:00 +0000\r\n",
		ReceivedNone: "X-Recall-Milter: id MARK\r\n",
	} {
		if got := received(h, "MARK", detail); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", detail, got, want)
		}
	}
}
