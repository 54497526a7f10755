package authenticate

import (
	"testing"

	"github.com/recall-milter/recall-milter/policy"
)

// A domain that only resembles another one is not that one: neither the case of other letters than those of ASCII, nor
// what IDNA maps onto others, makes it so.
func TestNoDomainIsAnotherThatItResembles(t *testing.T) {
	const kelvin, long = "ban\u212a.test", "bo\u017fs.test" // "bank.test", "boss.test" to Unicode
	for written, want := range map[string]string{
		"Bank.TEST": "bank.test", "münchen.test": "xn--mnchen-3ya.test",
		kelvin: kelvin, long: long, "MÜNCHEN.test": "mÜnchen.test",
	} {
		if got := domainOf(map[string]string{"d": written}); got != want {
			t.Errorf("d=%s is the domain %q, want %q", written, got, want)
		}
	}
	if _, ok := ALabels(kelvin); ok {
		t.Errorf("%s has A-labels", kelvin)
	}
	if got := (Message{MailFrom: "x@" + kelvin}).SPFDomain(); got != kelvin {
		t.Errorf("SPF is asked of %q", got)
	}
	if SameID("gate\u212a.test", "gatek.test") {
		t.Error("an authserv-id is another one")
	}
	if (policy.Field{Name: "\u017fubject"}).Is("Subject") ||
		missing([]string{"\u017fubject"}, []string{"Subject"}) == "" {
		t.Error("a field is another one")
	}
}
