package authenticate

import (
	"strings"
	"testing"
)

func TestClaimsOfANameAreReadAsAnyProgramMay(t *testing.T) {
	for value, want := range map[string]string{
		" gw.test; dkim=pass": "gw.test", "\r\n\tgw.test\r\n 1; x": "gw.test", " (c (nested \\) ;)) gw.test(c);": "gw.test",
		` "gw.te\st" 1;`: "gw.test", " gw.test": "gw.test", "": "", " (gw.test": "", " dkim=none; gw.test": "dkim=none",
		" (gw.test) other;": "other",
		" gw.test/4A3B; x":  "gw.test/4A3B", ` "gw.test`: "gw.test",
	} {
		if got := ServID(value); got != want {
			t.Errorf("%q claims %q, want %q", value, got, want)
		}
	}
}

// As OpenDKIM, OpenDMARC, Gmail and Exchange write them.
func TestResultsOfRealProgramsAreRead(t *testing.T) {
	for value, want := range map[string]string{
		" mx.test/4A3B;\r\n\tdkim=pass (2048-bit key; unprotected) header.d=a.test header.i=@a.test header.a=rsa-sha256 " +
			"header.s=s1 header.b=\"kL8s/x+=\";\r\n\tdkim-atps=neutral": "dkim=pass a.test kl8s/x+=; dkim-atps=neutral  ",
		" mx.test/4A3B; dmarc=pass (p=reject dis=none) header.from=a.test":                     "dmarc=pass  ",
		" mx.test 1; spf=pass (a (b) c) smtp.mailfrom=\"x; dkim=pass header.d=b.test\"@a.test": "spf=pass  ",
		" mx.test; none": "", " mx.test;": "", " mx.test": "",
		" mx.test; dmarc=pass action=none header.from=a.test;compauth=pass reason=100;" +
			"dkim=pass header.d=A.test": "dmarc=pass  ; compauth=pass  ; dkim=pass a.test ",
	} {
		all, err := parseResults(value)
		var got []string
		for _, r := range all {
			got = append(got, r.Method+"="+r.Value+" "+r.Properties["header.d"]+" "+r.Properties["header.b"])
		}
		if text := strings.Join(got, "; "); err != nil || text != want {
			t.Errorf("%s\nis read as %q (%v)\nwant       %q", value, text, err, want)
		}
	}
}

// What a sender can put into a field through a program that copies it, and what else two programs may read in two ways.
func TestResultsInDoubtAreNone(t *testing.T) {
	for _, value := range []string{
		" mx.test; dkim=pass header.d=a.test(.evil.test", " mx.test; dkim=pass header.d=a.test(x).evil.test",
		" mx.test; dkim=pass header.d=a.test (",
		" mx.test; dkim=pass header.d=a.test header.d=b.test", " mx.test; dkim=pass header.d=\"a.test",
		" mx.test; dkim=pass header.d=a.test\"b\"",
		" mx.test; dkim = pass", " mx.test; dkim=", " mx.test; =pass", " mx.test; dkim", " mx.test 2; dkim=pass",
		" mx.test x; dkim=pass", "; dkim=pass", "",
		` "mx.test"; dkim=pass`, " mx.test; none dkim=pass", " mx.test; dkim=pass\x00", " mx.test" +
			strings.Repeat("; dkim=fail", maxMethods+1),
		" mx.test; dkim=pass header.d=" + strings.Repeat("a", maxResults), " (mx.test; dkim=pass",
		" mx.test; dkim=pass) header.d=a.test",
	} {
		if all, err := parseResults(value); err == nil && !(strings.HasSuffix(value, "\x00") && all[0].Value != Pass) {
			t.Errorf("%.100q is read as %v", value, all)
		}
	}
}

func FuzzResults(f *testing.F) {
	f.Add(" mx.test/4A3B;\r\n\tdkim=pass (2048-bit key; x) header.d=a.test header.b=\"kL8\"; spf=pass " +
		"smtp.mailfrom=\"a b\"@x.test")
	f.Add(" (\\\" mx; =;\"")
	f.Fuzz(func(t *testing.T, value string) {
		all, err := parseResults(value)
		if err == nil && ServID(value) == "" {
			t.Errorf("%q has results and no name", value)
		}
		for _, r := range all {
			if r.Method == "" || r.Value == "" || strings.ContainsAny(r.Method, " \r\n;()\"") ||
				len(r.Properties["header.d"]) > len(value)+10 {
				t.Errorf("%q gives %+v", value, r)
			}
		}
		tags(value)
	})
}
