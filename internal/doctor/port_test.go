package doctor

import (
	"context"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/internal/postfix"
	"github.com/recall-milter/recall-milter/test/server"
)

func TestEachFaultOfTheReinjectionPortIsNamed(t *testing.T) {
	t.Parallel()
	const all = "250-x\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n250-XFORWARD NAME ADDR\r\n250 SIZE"
	for name, c := range map[string]struct{ verb, answer, want string }{
		"healthy":     {"EHLO", all, ""},
		"8 bit":       {"EHLO", strings.Replace(all, "250-8BITMIME\r\n", "", 1), "port.8bitmime"},
		"DSN":         {"EHLO", strings.Replace(all, "250-DSN\r\n", "", 1), "port.dsn"},
		"UTF-8":       {"EHLO", strings.Replace(all, "250-SMTPUTF8\r\n", "", 1), "port.smtputf8"},
		"XFORWARD":    {"EHLO", strings.Replace(all, "250-XFORWARD NAME ADDR\r\n", "", 1), "port.xforward"},
		"size":        {"EHLO", all + " 10240000", "port.size"},
		"enough size": {"EHLO", all + " 104857600", ""},
		"greeting":    {"EHLO", "554 5.3.2 no", "port.reachable"},
		"at a limit":  {"EHLO", "421 4.7.0 Error: too many connections", "port.busy"},
		"relaying":    {"RCPT", "454 4.7.1 Relay access denied", "port.refuses"},
		"access":      {"RCPT", "554 5.7.1 <unknown[127.0.0.1]>: Client host rejected: Access denied", "port.refuses"},
		"no disk":     {"MAIL", "452 4.3.1 Insufficient system storage", "port.refuses"},
		"no such dom": {"RCPT", "450 4.1.2 Domain not found", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sink := server.StartSink(t)
			sink.Answer(func(line string) string {
				switch {
				case strings.HasPrefix(line, c.verb):
					return c.answer
				case strings.HasPrefix(line, "EHLO"):
					return all
				case strings.HasPrefix(line, "HELO") && strings.HasPrefix(c.answer, "421"):
					return c.answer
				case strings.HasPrefix(line, "HELO"):
					return "554 5.3.2 no"
				}
				return ""
			})
			s := siteOf(t, "[release]\nsmtp = \""+sink.Addr+"\"\n")
			s.mta = &postfix.Config{}
			found := gathered(func(r report) { port(context.Background(), s, r) })
			if got := strings.Join(checks(found), " "); got != c.want {
				t.Errorf("found %q, want %q: %+v", got, c.want, found)
			}
			fixed(t, found)
			if len(sink.Got()) > 0 {
				t.Error("doctor sent mail")
			}
		})
	}
}

// A Postfix as it is installed takes 10 MB at every port: what is held has passed one of them.
func TestAPortThatTakesWhatTheMTATakesIsLargeEnough(t *testing.T) {
	t.Parallel()
	sink := server.StartSink(t)
	sink.Answer(func(line string) string {
		if strings.HasPrefix(line, "EHLO") {
			return "250-x\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n250-XFORWARD NAME ADDR\r\n250 SIZE 10240000"
		}
		return ""
	})
	submission := "submission inet n - y - - smtpd\n"
	for name, c := range map[string]struct{ main, master, want string }{
		"as installed":        {"", submission, ""},
		"more by one way":     {"", submission + "  -o message_size_limit=20480000\n", "port.size"},
		"less by one way":     {"", submission + "  -o message_size_limit=1024\n", ""},
		"any size by one way": {"", submission + "  -o message_size_limit=0\n", "port.size"},
		"more by sendmail(1)": {"message_size_limit = 20480000\n", submission, "port.size"},
		"more at the port now": {"", submission + sink.Addr + " inet n - n - - smtpd\n  -o message_size_limit=20480000\n",
			""},
		"less behind the port": {"", sink.Addr + " inet n - n - - smtpd\n  -o cleanup_service_name=small\nsmall unix n - " +
			"n - 0 cleanup\n  -o message_size_limit=5120000\n", "port.size"},
		"any size behind it": {"", sink.Addr + " inet n - n - - smtpd\n  -o cleanup_service_name=large\nlarge unix n - " +
			"n - 0 cleanup\n  -o message_size_limit=0\n", ""},
	} {
		s := siteOf(t, "[release]\nsmtp = \""+sink.Addr+"\"\n")
		s.Postfix = server.PostfixConf(t, c.main, c.master)
		s.mta, s.noMTA = postfix.Read(context.Background(), s.Postfix)
		if got := strings.Join(checks(gathered(func(r report) { port(context.Background(), s, r) })), " "); got != c.want {
			t.Errorf("%s: found %q, want %q (%v)", name, got, c.want, s.noMTA)
		}
	}
}

func TestThePortOfOurOwnMailsIsLookedAt(t *testing.T) {
	t.Parallel()
	sink := server.StartSink(t)
	s := siteOf(t, "[release]\nsmtp = \""+sink.Addr+"\"\nown_smtp = \""+server.FreeAddr(t)+"\"\n")
	if got := checks(gathered(func(r report) { port(context.Background(), s, r) })); len(got) != 1 ||
		got[0] != "port.own" {
		t.Errorf("found %v", got)
	}
}

// A port where nobody answers is fixed by what is behind it, so the fix depends on the MTA.
func TestAPortThatDoesNotAnswerIsNamed(t *testing.T) {
	t.Parallel()
	const smtpd = " inet n - n - - smtpd\n"
	at, other := server.FreeAddr(t), server.StartSink(t).Addr // Postfix runs, as another port of it answers
	reads := func(master string) *postfix.Config {
		c, err := postfix.Read(t.Context(), server.PostfixConf(t, "", master))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for name, c := range map[string]struct {
		mta *postfix.Config
		fix string
	}{
		"Postfix has not read it": {reads(other + smtpd + at + smtpd), "postfix reload"},
		"no service of Postfix":   {reads(other + smtpd), "recallctl setup --apply --reload"},
		"Sendmail":                {nil, byHand + "sendmail.cf is made from sendmail.mc: add the lines of recall-milter.m4"},
	} {
		s := siteOf(t, "[release]\nsmtp = \""+at+"\"\n")
		s.mta = c.mta
		found := gathered(func(r report) { port(context.Background(), s, r) })
		if got := strings.Join(checks(found), " "); got != "port.reachable" || !strings.HasPrefix(found[0].Fix, c.fix) {
			t.Errorf("%s: found %+v", name, found)
		}
		fixed(t, found)
	}
}
