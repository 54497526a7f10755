package recall

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

// Somebody on a relay invents senders: nobody with a login hears of it, nor another relay; and the same login is
// limited on all gateways together.
func TestInventedSendersUseUpNobodysRate(t *testing.T) {
	const rate = 3
	limits := func(o *Options) { o.Rate, o.Per = rate, time.Hour }
	o := newOffice(t, limits)
	command := "Subject: RECALL LAST\r\nMessage-ID: <c@corp.test>\r\n\r\n"
	relayed := func(client, from string) string {
		_, refusal, err := o.submit(letterOf{from: from, client: client, to: []string{desk}, text: command, grace: time.Hour,
			rule: "default"})
		if err != nil {
			t.Fatal(err)
		}
		return refusal
	}
	refused := 0
	for n := range 4 * officeRate * rate {
		if strings.HasPrefix(relayed("10.0.0.1", fmt.Sprintf("s%d@corp.test", n)),
			"550 5.7.1 too many recalls: 3 in 1h0m0s") {
			refused++
		}
	}
	if want := 3 * officeRate * rate; refused != want {
		t.Errorf("%d commands of a relay were refused, want %d", refused, want)
	}
	if keys, err := o.store.Counts(t.Context(), time.Hour, tally("client 10.0.0.1 sender s100@corp.test")); err != nil ||
		keys[0] != 0 {
		t.Errorf("a sender beyond the relay's rate is counted: %v, %v", keys, err)
	}
	if refusal := relayed("10.0.0.2", "anna@corp.test"); refusal != "" {
		t.Errorf("another relay hears %s", refusal)
	}
	other := &office{t: t, store: o.store, rules: o.rules, mail: map[string]bool{}, reports: map[string]string{}}
	other.Desk = New(o.store, o.rule, other, o.o)
	other.counted()
	for n := range rate + 1 {
		gateway := []*office{o, other}[n%2]
		_, refusal, err := gateway.submit(mailBy("anna", command, desk))
		if err != nil || (refusal != "") != (n == rate) {
			t.Errorf("command %d of a login: %v %q", n, err, refusal)
		}
	}
}

func tally(name string) (y holdstore.Tally) { y.Name = name; return y }

// A command that names what many others have sent is refused once, in one line of the trail.
func TestOneRefusedCommandIsOneLineOfTheTrail(t *testing.T) {
	o := newOffice(t)
	for range 5 {
		l := mailBy("anna", "Subject: prices\r\nMessage-ID: <shared@corp.test>\r\n\r\n", "b@x.test")
		o.mustSubmit(l)
	}
	o.mustSubmit(mailBy("mallory", "Subject: RECALL <shared@corp.test>\r\nMessage-ID: <c@corp.test>\r\n\r\n", desk))
	if n := o.audited("recall refused"); n != 1 {
		t.Errorf("%d lines", n)
	}
}

// Nobody behind a login that many share uses up the rate of the others, and all of them together have a bound.
func TestASharedLoginHasARateForEachSender(t *testing.T) {
	const rate = 3
	o := newOffice(t, func(o *Options) {
		o.Rate, o.Per, o.PersonalLogins = rate, time.Hour, patterns(t, "u17")
	})
	taken := func(login, from string, times int) (n int) {
		for range times {
			l := mailBy(login, "Subject: RECALL LAST\r\n\r\n", desk)
			l.from = from
			if _, refusal, err := o.submit(l); err != nil {
				t.Fatal(err)
			} else if refusal == "" {
				n++
			}
		}
		return n
	}
	for _, c := range []struct {
		login, from string
		want        int
	}{
		{"exchange", "anna@corp.test", rate}, {"exchange", "ANNA@corp.test", 0}, {"Exchange", "bert@corp.test", rate},
		{"u17", "carl@corp.test", rate}, {"u17", "carl@branch.test", 0}, // one person
		{"dora", "dora@corp.test", rate},
	} {
		if got := taken(c.login, c.from, rate+1); got != c.want {
			t.Errorf("%s, %s: %d were taken, want %d", c.login, c.from, got, c.want)
		}
	}
	sum := 0
	for n := range 2 * officeRate {
		sum += taken("exchange", fmt.Sprintf("made-up%d@corp.test", n), rate)
	}
	if sum < (officeRate-5)*rate || sum >= officeRate*rate {
		t.Errorf("%d more of made up senders were taken", sum)
	}
}
