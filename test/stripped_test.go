package test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// disguises are fields that only we may write, as hostile senders may put them.
var disguises = map[string]string{
	"NUL in the value":             "X-Recall-Policy: pass\x00; forged",
	"NUL in the name":              "X-Recall\x00-Policy: pass forged",
	"NUL behind the name":          "X-Recall-Policy\x00: pass forged",
	"NUL before the name":          "\x00X-Recall-Policy: pass forged",
	"bare CR before the name":      "X-Other: x\rX-Recall-Policy: pass forged",
	"bare CR and LF":               "X-Other: x\r\r\nX-Recall-Policy: pass forged",
	"bare LF before the name":      "X-Other: x\nX-Recall-Policy: pass forged",
	"bare CR in the name":          "X-Recall\r-Policy: pass forged",
	"bare CR behind the name":      "X-Recall-Policy\r: pass forged",
	"bare CR before the value":     "X-Recall-Policy:\rpass forged",
	"8-bit in the name":            "X-Recall-P\xf6licy: pass forged",
	"8-bit behind the name":        "X-Recall-Policy\xa0: pass forged",
	"8-bit in the value":           "X-Recall-Policy: pass \xff\xfe forged",
	"a blank before the colon":     "X-Recall-Policy : pass forged",
	"tabs before the colon":        "X-Recall-Policy\t \t: pass forged",
	"folded before the colon":      "X-Recall-Policy\r\n : pass forged",
	"folded in the name":           "X-Recall-\r\n Policy: pass forged",
	"folded behind the colon":      "X-Recall-Policy:\r\n pass\r\n\tforged",
	"an empty fold":                "X-Recall-Policy:\r\n \r\n pass forged",
	"upper case":                   "X-RECALL-POLICY: pass forged",
	"lower case":                   "x-recall-policy:pass forged",
	"odd case":                     "x-rEcAlL-pOlIcY: pass forged",
	"another one of ours":          "X-Recall-\x7f: forged",
	"no more than the prefix":      "X-Recall-: forged",
	"twice":                        "X-Recall-Policy: pass forged\r\nX-Recall-Policy: pass forged",
	"a vertical tab":               "X-Recall-Policy\v: pass forged",
	"results":                      "Authentication-Results: gw.corp.test; x-recall=pass forged",
	"results, odd case":            "AUTHENTICATION-results: GW.Corp.TEST; x-recall=pass forged",
	"results, a blank":             "Authentication-Results : gw.corp.test; forged",
	"results, folded":              "Authentication-Results:\r\n\tgw.corp.test\r\n\t; forged",
	"results, folded name":         "Authentication-\r\n Results: gw.corp.test; forged",
	"results, NUL behind the id":   "Authentication-Results: gw.corp.test\x00; forged",
	"results, NUL in the id":       "Authentication-Results: gw\x00.corp.test; forged",
	"results, NUL before the id":   "Authentication-Results: \x00gw.corp.test; forged",
	"results, CR before the id":    "Authentication-Results:\rgw.corp.test; forged",
	"results, CR in the id":        "Authentication-Results: gw\r.corp.test; forged",
	"results, 8-bit behind the id": "Authentication-Results: gw.corp.test\xff; forged",
	"results, 8-bit before the id": "Authentication-Results: \xa0gw.corp.test; forged",
	"results, 8-bit in the id":     "Authentication-Results: gw.\xadcorp.test; forged",
	"results, bare LF":             "X-Other: x\nAuthentication-Results: gw.corp.test; forged",
	"results, bare CR":             "X-Other: x\rAuthentication-Results: gw.corp.test; forged",
	"results, comment":             "Authentication-Results: (c (d) \\) e) gw.corp.test; forged",
	"results, quoted":              `Authentication-Results: "gw.corp\.test"; forged`,
	"results, trailing dot":        "Authentication-Results: gw.corp.test.; forged",
	"results, version":             "Authentication-Results: gw.corp.test 1; forged",
	"results, queue ID":            "Authentication-Results: gw.corp.test/4A3B2C1D; forged",
}

// readings are the header as programs of several kinds see it, a field an element: those that end lines at CRLF only,
// at any line end, or at NUL, and those that leave out what has no place there, or take it for a blank.
func readings(mail string) (all []string) {
	head, _, _ := strings.Cut(mail, "\r\n\r\n")
	odd := func(instead rune) string {
		return strings.Map(func(r rune) rune {
			if r < ' ' && !strings.ContainsRune("\t\r\n", r) || r > '~' {
				return instead
			}
			return r
		}, head)
	}
	for _, view := range []string{head, odd(-1), odd(' '),
		strings.NewReplacer("\r\n", "\r\n", "\r", "\r\n", "\n", "\r\n", "\x00", "\r\n").Replace(head)} {
		all = append(all, strings.Split(unfold.Replace(view), "\r\n")...)
	}
	return all
}

var (
	unfold  = strings.NewReplacer("\r\n ", " ", "\r\n\t", " ")
	verdict = regexp.MustCompile(`(?i)^(x-recall-[^:]*:.*|authentication-results[ \t]*:.*gw\.corp\.test.*)forged`)
)

// What the MTA ends the header at is body, where nobody looks for a verdict; it stays.
func TestDisguisedVerdictsAreRemoved(t *testing.T) {
	eachMTA(t, func(t *testing.T, k kind) {
		f := k.frontier(t, "")
		n := 0
		for name, fields := range disguises {
			n++
			f.must(submit(f.mta.smtp, "x@evil.test", insider,
				fmt.Sprintf("From: x@evil.test\r\nX-First: kept\r\n%s\r\nX-Last: kept\r\n\r\nbody number %d.\r\n", fields, n)))
			got := f.arriving(fmt.Sprintf("body number %d.", n))
			if !strings.Contains(got, "X-First: kept\r\n") || !strings.Contains(got, "X-Last: kept\r\n") {
				t.Errorf("%s: something else is gone:\n%q", name, got)
			}
			for _, field := range readings(got) {
				if verdict.MatchString(strings.NewReplacer(`\`, "", `"`, "").Replace(field)) {
					t.Errorf("%s: %q is in\n%q", name, field, got)
				}
			}
		}
	})
}

// Whatever a sender puts into a recall, what we write of it has lines that every program takes (RFC 5322 section
// 2.1.1).
func TestVerdictsHaveNoLongLines(t *testing.T) {
	eachMTA(t, func(t *testing.T, k kind) {
		f := k.frontier(t, "[inbound.recall]\non_fail = \"tag\"\n")
		domain, id := strings.Repeat("d.", 120)+"test", strings.Repeat("i", 480)+"@partner.test"
		f.original(id, "the price list", insider)
		signature := "DKIM-Signature: v=1; a=rsa-sha256; d=" + domain + "; s=s1; h=From:Subject; bh=AAAA; b=AAAA\r\n"
		for name, c := range map[string]struct{ from, mail, want string }{
			"a long Message-ID": {partnerFrom, f.signed("partner.test", formB("the price list")), "target=<" + id + ">\r\n"},
			"a long domain": {partnerFrom, replaced(t, formB("the price list"), partnerFrom, "x@"+domain), "domain=" +
				domain + "\r\n"},
			"long names of signers": {partnerFrom, strings.Repeat(signature, 8) + formB("the price list"),
				"\r\n\tdkim=fail header.d=" + domain + ";\r\n"},
			"a long envelope sender": {"x@" + domain, formB("the price list"), "smtp.mailfrom=" + domain + ";\r\n"},
			"a domain longer than ever": {partnerFrom,
				replaced(t, formB("the price list"), partnerFrom, "x@"+strings.Repeat(domain+".", 6)+"test"), "domain=d.d."},
		} {
			f.must(f.comesIn(c.from, insider, "X-Name: "+name+"\r\n"+c.mail))
			head, _, _ := strings.Cut(f.arriving("X-Name: "+name+"\r\n"), "\r\n\r\n")
			own, _, _ := strings.Cut(head, "X-Name:")
			if !strings.Contains(own+"\r\n", c.want) || strings.Contains(own, "\r\r") {
				t.Errorf("%s: want %.60q in %q", name, c.want, own)
			}
			for line := range strings.SplitSeq(own, "\r\n") {
				if len(line) > 998 {
					t.Errorf("%s: a line of %d bytes: %.80q", name, len(line), line)
				}
			}
		}
	})
}
