package inbound

import (
	"strings"
	"testing"
)

// TestAuthors has fields From as programs write them in any charset: one plain address, or why it is none.
func TestAuthors(t *testing.T) {
	for from, want := range map[string]string{
		anna: anna,
		"=?utf-8?B?w4RsaWNl?= <Anna@Partner.Test>":             anna,
		"=?Windows-1252?Q?J=F6rg?= <" + anna + ">":             anna,
		"=?windows-1252?Q?Action_fran=E7aise_?=<" + anna + ">": anna,
		"=?iso-8859-1*de?Q?J=F6rg?= <" + anna + ">":            anna,
		"=?gb2312?B?1cU=?= =?gb2312?B?yP0=?= <" + anna + ">":   anna,
		"=?ks_c_5601-1987?B?sei/5Q==?= <" + anna + ">":         anna,
		"=?iso-2022-jp?B?GyRCRURDZhsoQg==?= <" + anna + ">":    anna,
		"=?x-nobody-knows?Q?J=F6rg?= <" + anna + ">":           anna,
		"J\xf6rg <" + anna + ">":                               anna,
		"anna@PARTNER.test. ":                                  "",
		"Jörg <jörg@bücher.test>":                              "jörg@xn--bcher-kva.test",
		"=?utf-8?Q?=3Cevil=40evil.test=3E?= <" + anna + ">":    anna,
		"=?utf-8?Q?evil=40evil.test=2C?= <" + anna + ">":       anna,
		"=?utf-8?Q?x,?= <" + anna + ">":                        "",
		"x: " + anna + ";":                                     "",
		anna + ", " + bert:                                     "",
		"J\xf6rg <j\xf6rg@partner.test>":                       "",
	} {
		m := mailFrom("From: "+from+"\r\nSubject: x\r\n\r\nbody\r\n", anna, bert, "192.0.2.1")
		got, defect := author(m)
		if got != want || (defect == "") != (want != "") {
			t.Errorf("%q: %q, %q, want %q", from, got, defect, want)
		}
	}
	odd := mailFrom("From: "+anna+"\r\n\u017fubject: Recall: x\r\n\r\nbody\r\n", anna, bert, "192.0.2.1")
	if got, defect := author(odd); got != "" || defect == "" {
		t.Errorf("a field that others don't take for Subject: %q, %q", got, defect)
	}
	long := mailFrom("From: "+anna+"\r\nTo: "+strings.Repeat(bert+", ", 10_000)+bert+"\r\n\r\n", anna, bert, "192.0.2.1")
	if got := named(long); len(got) != 0 {
		t.Errorf("a To that is too long names %d", len(got))
	}
}
