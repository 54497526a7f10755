//go:build bench

package test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/correspondents"
)

// ofNoRules is what the hold path should reach with many rules, as a part of what it reaches without.
const ofNoRules = 0.95

// TestBenchRules compares a gateway with 50 rules, a list of 100,000 lines and a million pairs of correspondents with
// one that has none of them, in turns. No rule takes the message, so that each of them is asked.
func TestBenchRules(t *testing.T) {
	plain, ruled := benchGateway(t), benchGateway(t)
	ruled.manyRules()
	ruled.manyPairs()
	for _, sessions := range []int{16, 1} {
		messages := 800 * min(sessions, 4) / 4
		var with, without, again []float64
		before := [2]time.Duration{ruled.takes(), plain.takes()}
		for round := range 15 { // single runs differ by a tenth
			runs := []func(){
				func() { with = append(with, source(t, ruled.mta.smtp, sessions, messages, 4<<10)) },
				func() { without = append(without, source(t, plain.mta.smtp, sessions, messages, 4<<10)) },
				func() { again = append(again, source(t, plain.mta.smtp, sessions, messages, 4<<10)) },
			}
			for n := range runs {
				runs[(n+round)%len(runs)]()
			}
		}
		t.Logf("4 KB, %2d sessions: %.0f/s with 50 rules, a list and a million pairs; %.0f/s without = %s; the same without "+
			"again %.2f; daemon and Redis take %v of processor time a message, and %v without", sessions, median(with),
			median(without), aimed(ratio(with, without)), ratio(again, without), (ruled.takes()-before[0])/
				time.Duration(messages*len(with)), (plain.takes()-before[1])/time.Duration(messages*2*len(with)))
	}
	if rules, _ := ruled.ctl("--json", "list", "-n", "1"); !strings.Contains(rules, `"rule":"default"`) {
		t.Errorf("a rule has taken the message: %s", rules)
	}
}

// takes is the processor time of daemon and Redis so far.
func (g *gateway) takes() time.Duration {
	return processorTime(g.t, []int{g.daemon.Process.Pid, g.redis.PID()})
}

func aimed(figure float64) string {
	return fmt.Sprintf("%.2f (aim %.2f%s)", figure, ofNoRules, missed(figure < ofNoRules))
}

// manyRules writes 50 rules, of which each fifth asks the list, and starts the daemon again.
func (g *gateway) manyRules() {
	g.t.Helper()
	var list strings.Builder
	for n := range 100_000 {
		fmt.Fprintf(&list, "person%d@customer%d.test\n", n, n%5000)
	}
	g.must(os.WriteFile(filepath.Join(filepath.Dir(g.conf), "list.txt"), []byte(list.String()), 0o600))
	rules := "[outbound]\nlocal_domains = [\"corp.test\", \"*.corp.test\"]\n"
	for n := range 50 {
		condition := []string{`recipient = ["@list.txt"]`, `sender = ["*@department%d.corp.test"]`,
			`subject = ["*confidential%d*"]`, `header = { X-Project = "secret%d" }`, `recipients = ">%d"`}[n%5]
		if strings.Contains(condition, "%d") {
			condition = fmt.Sprintf(condition, n+10)
		}
		switch n {
		case 48:
			condition = "lookalike = true"
		case 49:
			condition = "first_contact = true"
		}
		rules += fmt.Sprintf("[[hold.rule]]\nname = \"r%d\"\n%s\nrecall = false\n", n, condition)
	}
	g.configure(rules)
}

// manyPairs fills the memory of correspondents; sender and recipient of the bench know each other.
func (g *gateway) manyPairs() {
	g.t.Helper()
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{g.redis.Addr}})
	g.must(err)
	defer store.Close()
	secret, err := store.Secret(g.t.Context())
	g.must(err)
	today, chance := holdstore.Day(time.Now()), rand.New(rand.NewPCG(1, 2))
	pairs := correspondents.Sent(correspondents.Key(secret), "a@corp.test", []string{"b@x.test"}, today-60)
	for len(pairs) < 1_000_000 {
		p := holdstore.Pair{Came: chance.IntN(3) == 0, Day: today - chance.IntN(300)}
		binary.BigEndian.PutUint32(p.Person[:], uint32(chance.IntN(2000))*2654435761)
		binary.BigEndian.PutUint32(p.Contact[:], chance.Uint32())
		binary.BigEndian.PutUint16(p.Contact[4:], uint16(len(pairs)))
		pairs = append(pairs, p)
	}
	for some := range slices.Chunk(pairs, 50_000) {
		g.must(store.Acquaint(g.t.Context(), some, 365*24*time.Hour))
	}
}
