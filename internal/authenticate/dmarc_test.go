package authenticate

import (
	"context"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

// TestRecordsOfDMARC has records as they are in the wild. Relaxed alignment needs one that applies.
func TestRecordsOfDMARC(t *testing.T) {
	t.Parallel()
	equal, dkim, spf := strictest, alignment{dkim: true}, alignment{spf: true}
	for name, c := range map[string]struct {
		records string // with "|" between them
		result  string
		strict  alignment
	}{
		"plain":                   {"v=DMARC1; p=reject", Fail, alignment{}},
		"capitals":                {"V=DMARC1; P=Reject; ADKIM=S", Fail, dkim},
		"relaxed in capitals":     {"v=DMARC1; p=none; adkim=R; aspf=R", Fail, alignment{}},
		"strict":                  {"v=DMARC1; p=none; adkim=s; aspf=s", Fail, equal},
		"strict SPF":              {"v=DMARC1;p=none;aspf= S ", Fail, spf},
		"no policy, reports":      {"v=DMARC1; rua=mailto:d@x.test", Fail, alignment{}},
		"bad policy, reports":     {"v=DMARC1; p=monitor; rua=mailto:d@x.test!10m, x", Fail, alignment{}},
		"no policy":               {"v=DMARC1", None, equal},
		"bad policy":              {"v=DMARC1; p=monitor", None, equal},
		"bad policy, bad reports": {"v=DMARC1; p=monitor; rua=d@x.test", None, equal},
		"percent":                 {"v=DMARC1; p=reject; pct=100%", Fail, alignment{}},
		"other nonsense": {"v=DMARC1; p=reject; rf=iodef; fo=1,d; ri=0; sp=n0ne; adkim=x; only; =;;", Fail,
			alignment{}},
		"unknown tags":             {"v=DMARC1; p=reject; np=reject; psd=n; t=y; foo=bar", Fail, alignment{}},
		"blanks":                   {"v = DMARC1 ; p = reject ", Fail, alignment{}},
		"a tag twice":              {"v=DMARC1; p=none; p=reject; rua=mailto:a@x.test; adkim=r; adkim=s", Fail, dkim},
		"no blanks, trailing":      {"v=DMARC1;p=reject;", Fail, alignment{}},
		"another version":          {"v=DMARC2; p=reject", None, equal},
		"version in another case":  {"v=dmarc1; p=reject", None, equal},
		"version is not first":     {"p=reject; v=DMARC1", None, equal},
		"two records":              {"v=DMARC1; p=reject|v=DMARC1; p=none", None, equal},
		"one record among others":  {"v=spf1 -all|v=DMARC1; p=reject|some text", Fail, alignment{}},
		"no record":                {"", None, equal},
		"not a record":             {"v=spf1 -all", None, equal},
		"a quote from a web page":  {"\u201cv=DMARC1; p=reject\u201d", None, equal},
		"DNS is away":              {"SERVFAIL", TempError, equal},
		"of the organisation":      {"ORG", Fail, spf},
		"two, and an organisation": {"ORG v=DMARC1; p=reject|v=DMARC1; p=none", None, equal},
	} {
		d := server.StartDNS(t)
		from := "x.test"
		records, ofOrganisation := strings.CutPrefix(c.records, "ORG")
		if ofOrganisation {
			from = "mail.x.test"
			d.Add(t, `_dmarc.x.test. TXT "v=DMARC1; p=none; aspf=s"`)
		}
		for r := range strings.SplitSeq(strings.TrimSpace(records), "|") {
			if r != "" {
				d.Add(t, "_dmarc."+from+`. TXT "`+r+`"`)
			}
		}
		if records == "SERVFAIL" {
			d.Fail("_dmarc." + from)
		}
		v := New(NewResolver(d.Addr), Options{Methods: []string{"dmarc"}})
		e := Evidence{DMARC: None, From: from}
		got := v.dmarc(v.resolver.query(context.Background()), &e)
		if e.DMARC != c.result || got != c.strict || e.Temporary != (c.result == TempError) {
			t.Errorf("%s: %q: %s %+v, want %s %+v", name, c.records, e.DMARC, got, c.result, c.strict)
		}
	}
}
