package mailmsg

import (
	"slices"
	"strings"
	"testing"
)

// TestAddresses has fields as programs write them; no addresses are wanted where programs could read another one.
func TestAddresses(t *testing.T) {
	for value, want := range map[string]string{
		"anna@partner.test":                                       "anna@partner.test",
		"Anna <anna@partner.test>":                                "anna@partner.test",
		"<Anna@Partner.test>":                                     "Anna@Partner.test",
		"anna@partner.test (Anna)":                                "anna@partner.test",
		`"Maier, Anna" <anna@partner.test>`:                       "anna@partner.test",
		"a@x.test,\r\n\tb@x.test , <c@x.test>":                    "a@x.test b@x.test c@x.test",
		"=?windows-1252?Q?J=F6rg?= <anna@partner.test>":           "anna@partner.test",
		"=?windows-1252?Q?fran=E7aise_?=<anna@partner.test>":      "anna@partner.test",
		"=?iso-8859-1*de?Q?J=F6rg?= <anna@partner.test>":          "anna@partner.test",
		"=?nocharset?Q?J=F6rg?= <anna@partner.test>":              "anna@partner.test",
		"=?utf-8?Q?J rg?= <anna@partner.test>":                    "anna@partner.test",
		"=?gb2312?B?1cU=?= =?gb2312?B?yP0=?= <anna@partner.test>": "anna@partner.test",
		"anna@partner.test (=?nocharset?Q?J=F6rg?=)":              "anna@partner.test",
		"J\xf6rg <anna@partner.test>":                             "anna@partner.test",
		"\"J\xf6rg\" <anna@partner.test>":                         "anna@partner.test",
		"Jörg <jörg@bücher.test>":                                 "jörg@bücher.test",
		// What is encoded is not an address.
		"=?utf-8?Q?=3Cevil=40evil.test=3E?= <anna@partner.test>": "anna@partner.test",
		"=?utf-8?Q?evil=40evil.test,?= <anna@partner.test>":      "",
		"=?utf-8?Q?anna=40partner.test?=":                        "",
		// What programs read in two ways.
		"anna@partner.test <evil@evil.test>": "",
		"anna@partner.test evil@evil.test":   "",
		"<j\xf6rg@partner.test>":             "",
		"<anna@b\xfccher.test>":              "",
		"Anna":                               "",
		"":                                   "",
		"<anna@partner.test":                 "",
		"undisclosed-recipients:;":           "",
		"\x00 <anna@partner.test>":           "",
	} {
		got, err := Addresses(value)
		if !slices.Equal(got, strings.Fields(want)) || (err != nil) != (want == "") && value != "undisclosed-recipients:;" {
			t.Errorf("%q: %q %v, want %q", value, got, err, want)
		}
		one, err := Address(value)
		if strings.Count(want, "@") == 1 != (err == nil) || err == nil && one != want {
			t.Errorf("the one address of %q: %q %v", value, one, err)
		}
	}
	if _, err := Addresses(strings.Repeat("a@b.test, ", MaxField/10+1)); err == nil {
		t.Error("a field that is too long has addresses")
	}
}
