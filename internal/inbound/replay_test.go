package inbound

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/protocol/cancel"
	"github.com/recall-milter/recall-milter/internal/retraction"
	"github.com/recall-milter/recall-milter/policy"
	"github.com/recall-milter/recall-milter/test/server"
)

// A recall to many comes in by several transactions. Whoever is named in it, and vouched for, may get it in any of
// them; nobody else, and nobody from elsewhere.
func TestARecallToManyServesEachWhomItNamesAndNobodyElse(t *testing.T) {
	t.Parallel()
	const carl, dora, emil = "carl@corp.test", "dora@corp.test", "emil@corp.test"
	key, verifier, store, redis := surroundings(t)
	everybody, _ := policy.ParsePatterns([]string{"*"})
	g := New(Options{AuthservID: "gw.corp.test", Prefixes: []string{"Recall:"}, Verifier: verifier,
		Rules: policy.InboundRules{{Name: "default",
			Partners: everybody, Require: []string{"aligned"}, MaxAge: 7 * day, Rate: 1000, Per: time.Hour, OnFail: "reject"}}},
		store, nil, quiet{})
	assess := func(mail, to, client string) (o Assessment) { // a client tries again, too
		server.Eventually(t, "the store answers", func() bool {
			o = g.Assess(t.Context(), mailFrom(mail, anna, to, client))
			return o.Verdict.Result != policy.InboundTemp
		})
		oneAnswer(t, "to "+to, o.Disposition)
		return o
	}
	all := []string{"From", "Subject", "Date", "Content-Type", "To", "Cc"}
	for name, c := range map[string]struct {
		covers  []string
		top     string // a field that nobody signs
		to      string
		client  string
		verdict string
	}{
		"named in To":             {all, "", carl, "192.0.2.1", policy.InboundPass},
		"named in To and Cc":      {all, "", carl + " " + dora, "192.0.2.1", policy.InboundPass},
		"not named":               {all, "", emil, "192.0.2.1", policy.InboundFail},
		"one of two not named":    {all, "", carl + " " + emil, "192.0.2.1", policy.InboundFail},
		"named, another client":   {all, "", carl, "192.0.2.66", policy.InboundFail},
		"nobody vouches for To":   {all[:4], "", carl, "192.0.2.1", policy.InboundFail},
		"nobody vouches for Cc":   {all[:5], "", dora, "192.0.2.1", policy.InboundFail},
		"another Cc was added":    {all, "Cc: " + emil + "\r\n", emil, "192.0.2.1", policy.InboundFail},
		"the first Cc was hidden": {all, "Cc: " + emil + "\r\n", dora, "192.0.2.1", policy.InboundFail},
	} {
		for form, mail := range mails() {
			if form == "request" { // it names them itself
				continue
			}
			redis.Do("FLUSHALL")
			mail = strings.Replace(mail, "To: "+bert+"\r\n",
				"To: "+bert+", Carl <"+carl+">\r\nCc: "+strings.ToUpper(dora)+"\r\n", 1)
			known := holdstore.Remembered{MessageID: "<o@partner.test>", From: anna,
				Recipients: []string{bert, carl, dora, emil},
				Subjects:   []string{priceList}, At: time.Now()}
			server.Eventually(t, "it is remembered", func() bool {
				return store.Remember(t.Context(),
					[]holdstore.Remembered{known}, time.Hour) == nil
			})
			mail = sign(t, mail, "partner.test", key, c.covers...)
			if o := assess(mail, bert, "192.0.2.1"); o.Verdict.Result != policy.InboundPass {
				t.Fatalf("%s, %s: the first transaction: %+v", name, form, o.Verdict)
			}
			if o := assess(c.top+mail, c.to, c.client); o.Verdict.Result != c.verdict || c.verdict == policy.InboundFail &&
				o.Verdict.Reason != "the command was used before" {
				t.Errorf("%s, %s: %+v", name, form, o.Verdict)
			}
		}
	}
}

// keyless is what a stranger puts on a recall in somebody else's name: a key that opens nothing, or a lock of their
// own.
var keyless = cancel.Key([]byte("a stranger's secret"), "", "<o@partner.test>")

// A stranger with a Cancel-Key that opens nothing uses up neither the rate of the domain nor the recall itself.
func TestAKeyThatOpensNothingUsesUpNothing(t *testing.T) {
	t.Parallel()
	key, verifier, store, redis := surroundings(t)
	everybody, _ := policy.ParsePatterns([]string{"*"})
	for _, require := range []string{"aligned", "cancel_key"} {
		rule := policy.InboundRule{Name: "default", Partners: everybody, Require: []string{require}, MaxAge: 7 * day, Rate: 1,
			Per: time.Hour, OnFail: "reject"}
		g := New(Options{AuthservID: "gw.corp.test", Prefixes: []string{"Recall:"}, Verifier: verifier,
			Rules: policy.InboundRules{rule}}, store, nil, quiet{})
		assess := func(mail, client string) (o Assessment) {
			server.Eventually(t, "the store answers", func() bool {
				o = g.Assess(t.Context(), mailFrom(mail, anna, bert, client))
				return o.Verdict.Result != policy.InboundTemp
			})
			oneAnswer(t, "from "+client, o.Disposition)
			return o
		}
		for form, mail := range mails() {
			redis.Do("FLUSHALL")
			known := holdstore.Remembered{MessageID: "<o@partner.test>", From: anna, Recipients: []string{bert},
				Subjects: []string{priceList}, At: time.Now(), Lock: cancel.Lock(lockedKey).String()}
			server.Eventually(t, "it is remembered", func() bool {
				return store.Remember(t.Context(),
					[]holdstore.Remembered{known}, time.Hour) == nil
			})
			for range 3 {
				if o := assess("Cancel-Key: "+keyless.String()+"\r\n"+mail, "192.0.2.99"); o.Verdict.Result != policy.InboundFail {
					t.Fatalf("%s, %s: a stranger: %+v", require, form, o.Verdict)
				}
			}
			genuine := sign(t, "Cancel-Key: "+lockedKey.String()+"\r\n"+mail, "partner.test", key, "From", "Subject", "Date",
				"Content-Type")
			if o := assess(genuine, "192.0.2.1"); o.Verdict.Result != policy.InboundPass {
				t.Errorf("%s, %s: the genuine recall after it: %+v", require, form, o.Verdict)
			}
		}
	}
}

// A colleague of the author, who has seen their command, sends it under their own name before the author's arrives.
func TestAColleagueUsesUpNobodysCommand(t *testing.T) {
	t.Parallel()
	key, verifier, store, redis := surroundings(t)
	everybody, _ := policy.ParsePatterns([]string{"*"})
	g := New(Options{AuthservID: "gw.corp.test", Prefixes: []string{"Recall:"}, Verifier: verifier,
		Rules: policy.InboundRules{{Name: "default", Partners: everybody, Require: []string{"aligned"}, MaxAge: 7 * day,
			Rate: 100, Per: time.Hour, OnFail: "reject"}}}, store, nil, quiet{})
	for form, mail := range mails() {
		redis.Do("FLUSHALL")
		known := holdstore.Remembered{MessageID: "<o@partner.test>", From: anna, Recipients: []string{bert},
			Subjects: []string{priceList}, At: time.Now()}
		server.Eventually(t, "it is remembered", func() bool {
			return store.Remember(t.Context(), []holdstore.Remembered{known}, time.Hour) == nil
		})
		verdict := func(from, client string) (o Assessment) {
			text := sign(t, strings.ReplaceAll(mail, anna, from), "partner.test", key, "From", "Subject", "Date", "Content-Type")
			server.Eventually(t, "the store answers", func() bool {
				o = g.Assess(t.Context(), mailFrom(text, from, bert, client))
				return o.Verdict.Result != policy.InboundTemp
			})
			return o
		}
		if o := verdict("max@partner.test", "192.0.2.66"); o.Verdict.Result == policy.InboundPass {
			t.Errorf("%s: a colleague's: %+v", form, o.Verdict)
		}
		if o := verdict(anna, "192.0.2.1"); o.Verdict.Result != policy.InboundPass {
			t.Errorf("%s: the author's own: %+v", form, o.Verdict)
		}
	}
}

// A stranger who knows a Message-ID sends a mail like it with a lock of their own, and then recalls with the key to
// that.
func TestALockThatCameLaterProvesNothing(t *testing.T) {
	t.Parallel()
	_, verifier, store, redis := surroundings(t)
	everybody, _ := policy.ParsePatterns([]string{"*"})
	g := New(Options{AuthservID: "gw.corp.test", Prefixes: []string{"Recall:"}, Verifier: verifier,
		Rules: policy.InboundRules{{Name: "default",
			Partners: everybody, Require: []string{"cancel_key"}, MaxAge: 7 * day, Rate: 100, Per: time.Hour,
			OnFail: "reject"}}},
		store, nil, quiet{})
	first := holdstore.Remembered{MessageID: "<o@partner.test>", From: anna, Recipients: []string{bert},
		Subjects: []string{priceList}, At: time.Now().Add(-time.Minute), Lock: cancel.Lock(lockedKey).String()}
	same, wider := first, first
	same.At, same.Lock = time.Now(), cancel.Lock(keyless).String()
	wider.At, wider.Lock, wider.Recipients = same.At, same.Lock, []string{bert, "carl@corp.test"}
	for name, c := range map[string]struct {
		forged holdstore.Remembered
		to     string
	}{"to the same": {same, bert}, "to more": {wider, bert}, "to more, recalled from more": {wider, bert +
		" carl@corp.test"}} {
		for form, mail := range mails() {
			redis.Do("FLUSHALL")
			for _, r := range []holdstore.Remembered{first, c.forged} {
				server.Eventually(t, "it is remembered", func() bool {
					return store.Remember(t.Context(), []holdstore.Remembered{r},
						time.Hour) == nil
				})
			}
			var o Assessment
			server.Eventually(t, "the store answers", func() bool {
				o = g.Assess(t.Context(), mailFrom("Cancel-Key: "+keyless.String()+"\r\n"+mail, anna, c.to, "192.0.2.99"))
				return o.Verdict.Result != policy.InboundTemp
			})
			if oneAnswer(t, name, o.Disposition); o.Verdict.Result != policy.InboundFail {
				t.Errorf("%s, %s: %+v", name, form, o.Verdict)
			}
		}
	}
}

// desk counts the orders that it takes.
type desk struct {
	Retractor
	mu    sync.Mutex
	taken []string
	whom  []string // of the last
}

func (d *desk) AcceptOrder(_ context.Context, o retraction.Order, _ bool) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.taken = append(d.taken, o.MessageID)
	d.whom = o.Recipients
	return true, nil
}

// Copies of one command, from several clients, with its own Message-ID or another, by two gateways with one store at
// the same moment: exactly one acts, also where its Cancel-Key is required.
func TestACommandByTwoGatewaysAtOnceActsOnce(t *testing.T) {
	t.Parallel()
	key, verifier, store, redis := surroundings(t)
	other, err := holdstore.Open(holdstore.Options{Addresses: []string{redis.Addr}, Durability: "relaxed"})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	everybody, _ := policy.ParsePatterns([]string{"*"})
	for _, require := range [][]string{{"aligned"}, {"aligned", "cancel_key"}} {
		d := &desk{}
		rule := policy.InboundRule{Name: "default", Partners: everybody, Require: require, MaxAge: 7 * day, Rate: 1000,
			Per: time.Hour, Execute: true, OnFail: "reject"}
		var gates []*Gate
		for _, s := range []*holdstore.Store{store, other} {
			gates = append(gates, New(Options{AuthservID: "gw.corp.test", Prefixes: []string{"Recall:"}, Verifier: verifier,
				Rules: policy.InboundRules{rule}}, s, d, quiet{}))
		}
		for form, mail := range mails() {
			mail = sign(t, "Cancel-Key: "+lockedKey.String()+"\r\n"+mail, "partner.test", key, "From", "Subject", "Date",
				"Content-Type")
			for round := range 10 {
				redis.Do("FLUSHALL")
				known := holdstore.Remembered{MessageID: "<o@partner.test>", From: anna, Recipients: []string{bert},
					Subjects: []string{priceList}, At: time.Now(), Lock: cancel.Lock(lockedKey).String()}
				server.Eventually(t, "it is remembered", func() bool {
					return store.Remember(t.Context(),
						[]holdstore.Remembered{known}, time.Hour) == nil
				})
				d.taken = nil
				var done sync.WaitGroup
				for n := range 6 {
					copied := strings.Replace(mail, "\nMessage-ID: <", "\nMessage-ID: <"+strings.Repeat("x", n/2), 1)
					m := mailFrom(copied, anna, bert, "192.0.2."+strconv.Itoa(10+n))
					done.Go(func() { oneAnswer(t, form, gates[n%2].Judge(t.Context(), m)) })
				}
				if done.Wait(); len(d.taken) != 1 || d.taken[0] != known.MessageID {
					t.Fatalf("%v, %s, round %d: carried out: %q", require, form, round, d.taken)
				}
			}
		}
	}
}
