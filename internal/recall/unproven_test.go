package recall

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/policy"
	"github.com/recall-milter/recall-milter/test/server"
)

// Whoever writes to Redis can write somebody's login into a record, but nobody is told anything on its account, and
// nothing is done. The administrator hears of it.
func TestARecordThatNothingProvesTellsNobodyAnything(t *testing.T) {
	const strip, unknown, change = `p=string.gsub(p,'\\n[^\\n]*$','')`,
		`p=string.gsub(p,'\\n%x+ (%S+ %S+)$','\\n00000000 %1')`, ``
	for name, proof := range map[string]string{"no proof": strip, "an unknown key": unknown, "a broken proof": change} {
		for _, command := range []string{"RECALL %s", "RECALL LAST", "RECALL %s ONLY b@x.test", "what waits"} {
			r := server.StartRedis(t)
			o := officeWith(t, holdstore.Options{Addresses: []string{r.Addr}, SealKeys: [][]byte{bytes.Repeat([]byte{1}, 32)}})
			o.troubles = &[]string{}
			id, _ := o.message("anna", "topsecret", "b@x.test")
			named, written := strings.Contains(command, "%s"), `'x.test','y.test'`
			if named {
				written = `'anna','bert'`
			}
			key := strings.Fields(r.Do("KEYS *:h:" + id))
			r.Do(`EVAL "local p=redis.call('HGET',KEYS[1],'p') p=string.gsub(p,` + written + `) ` + proof +
				` return redis.call('HSET',KEYS[1],'p',p)" 1 ` + key[len(key)-1])
			o.tick()
			asked := command
			if named {
				asked = fmt.Sprintf(command, id)
			}
			for _, login := range []string{"anna", "bert"} {
				answer := o.command(login, "Subject: "+asked+"\r\n", "")
				if answer == "" || strings.Contains(answer, "topsecret") {
					t.Errorf("%s, %q by %s: answered\n%s", name, asked, login, answer)
				}
				last := command == "RECALL LAST" && login == "anna"
				if (named || last) && !strings.Contains(answer, "can't prove whose message this is") {
					t.Errorf("%s, %q by %s: not refused\n%s", name, asked, login, answer)
				}
				if !named && strings.Contains(answer, id) {
					t.Errorf("%s, %q by %s: it is listed\n%s", name, asked, login, answer)
				}
			}
			if got := o.state(id); got != holdstore.Held {
				t.Errorf("%s, %q: it is %s", name, asked, got)
			}
			if named && len(*o.troubles) == 0 {
				t.Errorf("%s, %q: the administrator does not hear of it", name, asked)
			}
		}
	}
}

// Outlook's recall names a subject only, which somebody may have written into a record.
func TestOutlooksRecallMeansNoRecordThatNothingProves(t *testing.T) {
	r := server.StartRedis(t)
	o := officeWith(t, holdstore.Options{Addresses: []string{r.Addr}})
	o.message("anna", "prices", "b@x.test") // before there is a key
	sealed := officeWith(t,
		holdstore.Options{Addresses: []string{r.Addr}, SealKeys: [][]byte{bytes.Repeat([]byte{1}, 32)}})
	sealed.troubles = &[]string{}
	m := arriving("Subject: Recall: prices\r\n\r\n")
	m.Sender.Address, m.Login = "anna@corp.test", "anna"
	m.Recipients = []holdstore.Path{{Address: "b@x.test"}}
	for name, c := range map[string]struct {
		o    *office
		want int
	}{"without a key": {o, 1}, "with a key": {sealed, 0}} {
		ask := c.o.read(m)
		ask.subjects = []policy.Subject{policy.ReadSubject("prices")}
		holds, err := c.o.latest(t.Context(), ask, latestLooked, canMean(ask))
		found, _ := originals(ask, holds)
		if err != nil || len(found) != c.want {
			t.Errorf("%s: %d are found: %v", name, len(found), err)
		}
	}
}
