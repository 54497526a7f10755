package recall

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

// Somebody on a relay invents senders: nobody with a login hears of it, nor another relay; and the same login is limited on all
// gateways together.
func TestInventedSendersUseUpNobodysRate(t *testing.T) {
	const rate = 3
	limits := func(o *Options) { o.Rate, o.Per = rate, time.Hour }
	o := newOffice(t, limits)
	command := "Subject: RECALL LAST\r\nMessage-ID: <c@corp.test>\r\n\r\n"
	relayed := func(client, from string) string {
		_, refusal, err := o.submit(letterOf{from: from, client: client, to: []string{desk}, text: command, grace: time.Hour, rule: "default"})
		if err != nil {
			t.Fatal(err)
		}
		return refusal
	}
	refused := 0
	for n := range 4 * officeRate * rate {
		if strings.HasPrefix(relayed("10.0.0.1", fmt.Sprintf("s%d@corp.test", n)), "550 5.7.1 too many recalls: 3 in 1h0m0s") {
			refused++
		}
	}
	if want := 3 * officeRate * rate; refused != want {
		t.Errorf("%d commands of a relay were refused, want %d", refused, want)
	}
	if keys, err := o.store.Counted(t.Context(), time.Hour, tally("client 10.0.0.1 sender s100@corp.test")); err != nil || keys[0] != 0 {
		t.Errorf("a sender beyond the relay's rate is counted: %v, %v", keys, err)
	}
	if refusal := relayed("10.0.0.2", "anna@corp.test"); refusal != "" {
		t.Errorf("another relay hears %s", refusal)
	}
	other := &office{t: t, store: o.store, rules: o.rules, mail: map[string]bool{}, reports: map[string]string{}}
	other.Desk = New(o.store, o.rule, other, o.o)
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
