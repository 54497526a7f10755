package test

import (
	"fmt"
	"net/smtp"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// tightLimit is the largest message that the MTAs of this file take, in bytes.
const tightLimit = 120000

// tight are MTAs with the same limit at all ports.
var tight = map[string]kind{
	"Postfix": func(t *testing.T, milter, nextHop string) mta { return ofPostfix(tightPostfix(t, milter, nextHop)) },
	"Sendmail": func(t *testing.T, milter, nextHop string) mta {
		lines, err := os.ReadFile(sendmailLines)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "recall-milter.m4")
		if err := os.WriteFile(file, fmt.Appendf(lines, "define(`confMAX_MESSAGE_SIZE', `%d')dnl\n", tightLimit),
			0o600); err != nil {
			t.Fatal(err)
		}
		return ofSendmail(server.StartSendmail(t, file, milter, nextHop))
	},
}

func tightPostfix(t *testing.T, milter, nextHop string) *server.Postfix {
	return server.StartPostfix(t, milter, nextHop, "message_size_limit = "+strconv.Itoa(tightLimit))
}

// The release adds a field, and MTAs count more than content: what is taken near the limit must not bounce for that.
func TestWhatIsTakenNearTheSizeLimitArrives(t *testing.T) {
	eachOf(t, tight, func(t *testing.T, k kind) {
		g := k.gateway(t, "1s")
		nearTheLimit(t, g)
		if !g.has(": hold: id=") || !g.has("larger than the re-injection port is sure to take") {
			t.Error("all of it, or nothing, was held")
		}
	})
}

// A cleanup service of its own takes back what the MTA's has taken in: the lines are those of docs/postfix.md.
func TestAPortWithoutALimitTakesBackAllThatIsTaken(t *testing.T) {
	t.Parallel()
	g := startGatewayWith(t, "1s", func(milter, nextHop string) mta {
		p := tightPostfix(t, milter, nextHop)
		p.Kill()
		file := filepath.Join(p.Dir, "conf/master.cf")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Replace(string(text), "no_header_body_checks",
			"no_header_body_checks\n  -o message_size_limit=0\n  -o cleanup_service_name=recall-cleanup", 1) +
			"recall-cleanup unix n - n - 0 cleanup\n  -o message_size_limit=0\n"
		if err := os.WriteFile(file, []byte(lines), 0o644); err != nil {
			t.Fatal(err)
		}
		p.Start()
		return ofPostfix(p)
	})
	nearTheLimit(t, g)
	if g.has("larger than") {
		t.Error("some of it passed unheld")
	}
}

// nearTheLimit submits mail of all sizes up to the largest that is taken, and sees it arrive.
func nearTheLimit(t *testing.T, g *gateway) {
	t.Helper()
	// Postfix counts another byte for a long line
	for _, shape := range []struct{ line, recipients int }{{70, 1}, {300, 40}} {
		largest, ids := largestTaken(g, shape.line, shape.recipients), []string{}
		for size := largest - 40000; size <= largest+1; size += max(1, (largest-size)/3) {
			id := fmt.Sprintf("s%d.%d@corp.test", shape.line, size)
			if g.taken(id, size, shape.line, shape.recipients) {
				ids = append(ids, id)
			}
		}
		for _, id := range ids {
			server.Eventually(t, id+" arrives", func() bool { return g.arrived(id) == 1 })
		}
		t.Logf("%d arrived, the largest of %d bytes", len(ids), largest)
	}
}

// largestTaken tries how large a message the MTA takes.
func largestTaken(g *gateway, line, recipients int) int {
	taken, refused := tightLimit*3/4, tightLimit+1
	for n := 0; refused-taken > 1; n++ {
		size := (taken + refused) / 2
		if g.taken(fmt.Sprintf("try%d.%d@corp.test", line, n), size, line, recipients) {
			taken = size
		} else {
			refused = size
		}
	}
	return taken
}

// taken submits a message of so many bytes, and says whether the MTA took it.
func (g *gateway) taken(id string, size, line, recipients int) (yes bool) {
	g.submitted(id, func() error {
		err := g.sized(id, size, line, recipients)
		if yes = err == nil; err != nil && strings.HasPrefix(err.Error(), "552") {
			return nil
		}
		return err
	})
	return yes
}

func (g *gateway) sized(id string, size, line, recipients int) error {
	to := make([]string, recipients)
	for n := range to {
		to[n] = fmt.Sprintf("somebody.with.a.long.name.%d@department.of.long.names.x.test", n)
	}
	text := "From: a@corp.test\r\nTo: b@x.test\r\nSubject: size\r\nMessage-ID: <" + id +
		">\r\nDate: Tue, 24 Nov 2026 09:00:00 +0000\r\n\r\nbody of " + id + "\r\n"
	for size-len(text) > 2*line {
		text += strings.Repeat("x", line-2) + "\r\n"
	}
	text += strings.Repeat("y", size-len(text)-2) + "\r\n"
	return smtp.SendMail(g.mta.smtp, nil, "a@corp.test", to, []byte(text))
}
