package test

import (
	"fmt"
	"net/smtp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/outlook"
	"github.com/recall-milter/recall-milter/test/server"
)

func TestForgedReplayedAndBrokenRecallsChangeNothing(t *testing.T) {
	eachOffice(t, func(t *testing.T, k kind) {
		g := k.office(t, "1h")
		r := outlook.Recall{From: "anna@corp.test", To: "b@x.test", Subject: "the price list", Prefix: "Recall:"}
		g.message("anna", "hers@corp.test")
		anna := smtp.PlainAuth("", "anna", server.Password, "127.0.0.1")
		bert := smtp.PlainAuth("", "bert", server.Password, "127.0.0.1")
		command := "From: anna@corp.test\r\nSubject: RECALL <hers@corp.test>\r\nMessage-ID: <replayed@corp.test>\r\n\r\n"
		bomb := outlook.NewTNEF().Attribute(0x00078008, []byte("IPM.Outlook.Recall\x00")).Attribute(0x00069003,
			[]byte{0xff, 0xff, 0xff, 0xff})
		for name, c := range map[string]struct {
			auth     smtp.Auth
			to, text string
		}{
			"envelope and From forged":  {bert, recallAddress, command},
			"the command replayed":      {nil, recallAddress, command},
			"Outlook's recall replayed": {bert, "b@x.test", r.FormB()},
			"Supersedes of another's":   {bert, "b@x.test", "Supersedes: <hers@corp.test>\r\nSubject: x\r\n\r\nbody\r\n"},
			"a bomb":                    {anna, "b@x.test", r.FormAWith(bomb.Bytes())},
			"a large bomb":              {anna, "b@x.test", r.FormAWith(make([]byte, 2<<20))},
			"parts without an end": {anna, "b@x.test",
				"Subject: Recall: the price list\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
					strings.Repeat("--b\r\n\r\n", 9000)},
			"a recall to one more":         {anna, "d@x.test", r.FormA()},
			"a reply to the wrong message": {anna, recallAddress, "Subject: Re: x\r\nIn-Reply-To: <none@corp.test>\r\n\r\n"},
		} {
			if err := smtp.SendMail(g.mta.smtp, c.auth, "anna@corp.test", []string{c.to}, []byte(c.text)); err != nil {
				t.Errorf("%s was not taken: %v", name, err)
			}
			if got := g.state("hers@corp.test"); got != "held" {
				t.Fatalf("after %s it is %s", name, got)
			}
		}
	})
}

func TestOutlooksCharsets(t *testing.T) {
	eachOffice(t, func(t *testing.T, k kind) {
		g := k.office(t, "1h")
		for n, r := range []outlook.Recall{
			{Subject: "价格表", Prefix: "撤回:", Charset: "gb2312"}, {Subject: "價格表", Prefix: "回收:", Charset: "big5"},
			{Subject: "가격표", Prefix: "회수:", Charset: "ks_c_5601-1987"},
			{Subject: "価格表", Prefix: "Recall:", Charset: "iso-2022-jp"},
		} {
			for form, mail := range map[string]func(outlook.Recall) string{"A": outlook.Recall.FormA,
				"B": outlook.Recall.FormB} {
				r.From, r.To = "anna@corp.test", "b@x.test"
				id := fmt.Sprintf("%s%d@corp.test", form, n)
				g.mustSubmit("anna", []string{"b@x.test"}, "Subject: RE: "+r.SubjectField()+"\r\nMessage-ID: <"+id+">\r\n",
					"body\r\n")
				g.raw("anna", mail(r), "b@x.test")
				if got := g.state(id); got != "recalled" {
					t.Errorf("form %s in %s: it is %s", form, r.Charset, got)
				}
			}
		}
	})
}

func TestDelegatesAndRulesWithoutRecall(t *testing.T) {
	eachOffice(t, func(t *testing.T, k kind) {
		g := k.office(t, "1h", "[[hold.rule]]", `name = "executives"`, `login = ["anna"]`, `delegates = ["assistant"]`,
			"recall = false")
		g.message("anna", "plans@corp.test")
		g.command("anna", "Subject: RECALL <plans@corp.test>\r\n", "")
		if text := g.report("anna", "Recall refused"); !strings.Contains(text, "rule executives") ||
			g.state("plans@corp.test") != "held" {
			t.Errorf("its sender recalled it, or does not know why not:\n%s", text)
		}
		g.command("assistant", "Subject: RECALL <plans@corp.test>\r\n", "")
		g.report("assistant", "Recalled: the price list")
		if got := g.state("plans@corp.test"); got != "recalled" {
			t.Errorf("a delegate's recall left it %s", got)
		}
	})
}

// TestARecallAtTheDueMomentIsAnsweredTruly recalls messages through Postfix about when they are due.
func TestARecallAtTheDueMomentIsAnsweredTruly(t *testing.T) {
	eachOffice(t, func(t *testing.T, k kind) {
		const messages, senders = 40, 4
		g := k.office(t, "1s", `rate = "10000/h"`)
		var wg sync.WaitGroup
		for s := range senders {
			wg.Go(func() {
				for n := s; n < messages; n += senders {
					id := fmt.Sprintf("race%d@corp.test", n)
					if err := g.submit("anna", []string{"b@x.test"}, "Subject: number"+fmt.Sprint(n)+"\r\nMessage-ID: <"+id+">\r\n",
						"body of "+id+".\r\n"); err != nil {
						t.Error(err)
					}
					time.Sleep(800*time.Millisecond + time.Duration(n)*10*time.Millisecond) // around the due moment
					if err := g.submit("anna", []string{recallAddress},
						"Subject: RECALL <"+id+">\r\nMessage-ID: <answer"+fmt.Sprint(n)+"@corp.test>\r\n", ""); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		outcomes := map[bool]int{}
		for n := range messages {
			text := g.answerTo(fmt.Sprintf("<answer%d@corp.test>", n))
			recalled := strings.Contains(text, "Outcome: recalled")
			if !recalled {
				server.Eventually(t, "the message that was too late arrives",
					func() bool { return g.arrived(fmt.Sprintf("race%d@corp.test.", n)) == 1 })
			} else if g.arrived(fmt.Sprintf("race%d@corp.test.", n)) != 0 {
				t.Errorf("%d was sent, and the report says:\n%s", n, text)
			}
			outcomes[recalled]++
		}
		t.Logf("recalled and not: %v", outcomes)
	})
}

// answerTo waits for the report on one command.
func (g *gateway) answerTo(id string) (text string) {
	g.t.Helper()
	server.Eventually(g.t, "a report on "+id, func() bool {
		for _, d := range g.sink.Got() {
			if strings.Contains(string(d.Data), "\r\nIn-Reply-To: "+id) {
				text = string(d.Data)
			}
		}
		return text != ""
	})
	return text
}
