package inbound

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/authenticate"
	"github.com/recall-milter/recall-milter/policy"
	"github.com/recall-milter/recall-milter/test/server"
)

// Anybody can send a message with the sender's address and subject, before a recall or after one. It means the sender's
// own.
func TestARecallMeansTheSendersOwnMessage(t *testing.T) {
	t.Parallel()
	key, verifier, store, redis := surroundings(t)
	everybody, _ := policy.ParsePatterns([]string{"*"})
	g := New(Options{AuthservID: "gw.corp.test", Prefixes: []string{"Recall:"}, Verifier: verifier,
		Rules: policy.InboundRules{{Name: "default",
			Partners: everybody, Require: []string{"aligned"}, MaxAge: 7 * day, Rate: 1000, Per: time.Hour, OnFail: "reject"}}},
		store, nil, quiet{})
	spf, forged, other := holdstore.Way{Client: "192.0.2.7", Domain: "partner.test"}, holdstore.Way{Client: "192.0.2.66",
		Domain: "partner.test"},
		holdstore.Way{Client: "192.0.2.66", Domain: "evil.test"}
	believed := holdstore.Way{Client: "192.0.2.99", Domain: "bounces.test", Aligned: true}
	for name, c := range map[string]struct {
		came []holdstore.Way // the oldest first
		want int             // which is meant
	}{
		"SPF tells":                               {[]holdstore.Way{forged, spf, forged, other}, 1},
		"an earlier milter told":                  {[]holdstore.Way{forged, believed, forged}, 1},
		"of the sender's own the newest":          {[]holdstore.Way{spf, believed, spf, forged}, 2},
		"nobody knows, as with what is older":     {[]holdstore.Way{{}, {}, {}}, 2},
		"SPF of a stranger's own domain is none":  {[]holdstore.Way{other, spf, other}, 1},
		"one of its transactions is the sender's": {[]holdstore.Way{spf, forged}, 0},
	} {
		for form, mail := range mails() {
			if form == "request" { // it names its message
				continue
			}
			redis.Do("FLUSHALL")
			var known []holdstore.Remembered
			for n, w := range c.came {
				known = append(known, holdstore.Remembered{MessageID: fmt.Sprintf("<%d@partner.test>", n), From: anna,
					Recipients: []string{bert}, Subjects: []string{priceList},
					At: time.Now().Add(time.Duration(n-10) * time.Second), Ways: []holdstore.Way{w}})
			}
			server.Eventually(t, "they are remembered",
				func() bool { return store.Remember(t.Context(), known, time.Hour) == nil })
			mail = sign(t, mail, "partner.test", key, "From", "Subject", "Date", "Content-Type")
			var o Assessment
			server.Eventually(t, "the store answers", func() bool {
				o = g.Assess(t.Context(), mailFrom(mail, anna, bert, "192.0.2.1"))
				return o.Verdict.Result != policy.InboundTemp
			})
			if want := known[c.want].MessageID; o.Verdict.Target != want {
				t.Errorf("%s, %s: it means %s, want %s: %+v", name, form, o.Verdict.Target, want, o.Verdict)
			}
		}
	}
}

// witness keeps what it is told to remember.
type witness struct {
	Memory
	all []holdstore.Remembered
}

func (w *witness) Remember(_ context.Context, all []holdstore.Remembered, _ time.Duration) error {
	w.all = append(w.all, all...)
	return nil
}

// What tells a message from a forged one is remembered, without asking DNS; what nobody can have written is not.
func TestHowAMessageCameInIsRemembered(t *testing.T) {
	const plain = "From: anna@partner.test\r\nSubject: x\r\nMessage-ID: <o@partner.test>\r\n"
	const signature = "DKIM-Signature: v=1; a=rsa-sha256; d=partner.test; s=s1; h=From; bh=AAAA; b=AAAA\r\n"
	told := "Authentication-Results: mx.corp.test/4A3B2C; dkim=pass header.d=partner.test\r\n"
	long := strings.Repeat("x", maxLine)
	for name, c := range map[string]struct {
		mail, from string
		want       holdstore.Way
		none       bool
	}{
		"nothing told": {plain, "Anna@Partner.Test.", holdstore.Way{Client: "192.0.2.1",
			Domain: "partner.test"}, false},
		"null sender":           {plain, "", holdstore.Way{Client: "192.0.2.1"}, false},
		"a domain that is none": {plain, "a@" + long, holdstore.Way{Client: "192.0.2.1"}, false},
		"told": {told + signature + plain, anna, holdstore.Way{Client: "192.0.2.1",
			Domain: "partner.test", Aligned: true}, false},
		"told of no signature at all": {told + plain, anna, holdstore.Way{Client: "192.0.2.1", Domain: "partner.test"},
			false},
		"told of another queue ID": {strings.Replace(told, "4A3B2C", "4A3B2D", 1) + signature + plain, anna,
			holdstore.Way{Client: "192.0.2.1", Domain: "partner.test"}, false},
		"told of another domain": {strings.Replace(told, "partner", "evil", 1) + signature + plain, anna,
			holdstore.Way{Client: "192.0.2.1", Domain: "partner.test"}, false},
		"by way of a list under its address": {"List-Post: <mailto:" + anna + ">\r\n" + plain, "all-bounces@lists.test",
			holdstore.Way{Client: "192.0.2.1", Domain: "lists.test", Shared: true}, false},
		"by way of a list": {"List-Id: <all.lists.test>\r\n" + plain, anna, holdstore.Way{Client: "192.0.2.1",
			Domain: "partner.test"}, false},
		"a Message-ID of 1000 bytes": {strings.Replace(plain, "<o@", "<"+long+"@", 1), anna, holdstore.Way{}, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &witness{}
			verifier := authenticate.New(nil, authenticate.Options{Trust: []string{"mx.corp.test"}})
			g := New(Options{Remember: time.Hour, Verifier: verifier}, w, nil, quiet{})
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			g.Remember(mailFrom(c.mail+"\r\n", c.from, bert, "192.0.2.1"))
			g.Run(ctx)
			if c.none != (len(w.all) == 0) || len(w.all) > 0 && w.all[0].Ways[0] != c.want {
				t.Errorf("%s: %+v", name, w.all)
			}
		})
	}
}
