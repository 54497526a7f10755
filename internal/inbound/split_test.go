package inbound

import (
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/policy"
)

// TestOriginalsAndRecallsThatAnMTASplitAreServedWhole has the original come in by one envelope or two, and the recall
// too.
func TestOriginalsAndRecallsThatAnMTASplitAreServedWhole(t *testing.T) {
	t.Parallel()
	key, verifier, store, redis := surroundings(t)
	everybody, _ := policy.ParsePatterns([]string{"*"})
	const carl = "carl@corp.test"
	rule := policy.InboundRule{Name: "default", Partners: everybody, Require: []string{"aligned"}, MaxAge: 7 * day,
		OnFail: "reject"}
	for _, form := range forms {
		for _, originals := range [][]string{{bert + " " + carl}, {bert, carl}, {carl, bert}} {
			for _, recalls := range [][]string{{bert + " " + carl}, {bert, carl}, {carl, bert}} {
				redis.Do("FLUSHALL")
				g := New(Options{AuthservID: "gw.corp.test", Prefixes: []string{"Recall:"}, Rules: policy.InboundRules{rule},
					Verifier: verifier},
					store, nil, quiet{})
				for _, to := range originals {
					known := holdstore.Remembered{MessageID: "<o@partner.test>", From: anna, Recipients: strings.Fields(to),
						Subjects: []string{priceList}, At: time.Now()}
					if err := store.Remember(t.Context(), []holdstore.Remembered{known}, time.Hour); err != nil {
						t.Fatal(err)
					}
				}
				mail := strings.Replace(mails()[form], "To: "+bert, "To: "+bert+", "+carl, 1)
				mail = strings.Replace(mail, "Original-Message-ID:",
					"Original-Recipient: rfc822; "+bert+"\r\nOriginal-Recipient: rfc822; "+carl+
						"\r\nOriginal-Message-ID:", 1)
				mail = sign(t, mail, "partner.test", key, "From", "To", "Subject", "Date", "Content-Type")
				for _, to := range recalls {
					o := g.Assess(t.Context(), mailFrom(mail, anna, to, "192.0.2.1"))
					if oneAnswer(t, form+" to "+to, o.Disposition); o.Verdict.Result != policy.InboundPass {
						t.Errorf("%s, originals %q, recalls %q, to %s: %+v", form, originals, recalls, to, o.Verdict)
					}
				}
			}
		}
	}
}
