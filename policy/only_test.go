package policy

import (
	"fmt"
	"strings"
	"testing"
)

const unclear = "unclear"

func TestOnlyIsUnderstoodHoweverItIsWritten(t *testing.T) {
	long := "ONLY " + strings.Repeat("b@x.test, ", maxOnly) // one and the same
	for text, want := range map[string]string{
		"":                                  "",
		"please":                            "",
		"ONLY b@x.test":                     "b@x.test",
		"only: b@x.test":                    "b@x.test",
		"Only:b@x.test":                     "b@x.test",
		"ONLY：b@x.test":                     "b@x.test",
		"ONLY\u00a0b@x.test,\u00a0c@x.test": "b@x.test c@x.test",
		"ONLY b@x.test c@x.test":            "b@x.test c@x.test",
		"ONLY b@x.test; c@x.test":           "b@x.test c@x.test",
		"ONLY b@x.test and c@x.test":        "b@x.test c@x.test",
		"ONLY b@x.test.":                    "b@x.test",
		"ONLY b@x.test, c@x.test.\nThanks":  "b@x.test c@x.test",
		"ONLY <b@x.test>":                   "b@x.test",
		"ONLY<b@x.test>":                    "b@x.test",
		"ONLY Bert <b@x.test>":              "b@x.test",
		"ONLY Bert B. <b@x.test>, \"C, Carla\" <c@x.test>":          "b@x.test c@x.test",
		"ONLY b@x.test<mailto:b@x.test>":                            "b@x.test",
		"ONLY b@x.test<mailto:b@x.test>, c@x.test<mailto:c@x.test>": "b@x.test c@x.test",
		"ONLY b@x.test [mailto:b@x.test]":                           unclear,
		"ONLY b@x.test[mailto:b@x.test]":                            "b@x.test",
		"ONLY mailto:b@x.test":                                      "b@x.test",
		"ONLY Bert <mailto:b@x.test>":                               "b@x.test",
		"> ONLY b@x.test":                                           "",
		// who calls takes quotes out; here it is not a line of a command
		"* ONLY b@x.test": "b@x.test",
		"- only b@x.test": "b@x.test",
		"(ONLY b@x.test)": "b@x.test",
		// Lists of several lines.
		"ONLY b@x.test,\nc@x.test":                         "b@x.test c@x.test",
		"ONLY b@x.test, \nc@x.test\nThanks":                "b@x.test c@x.test",
		"ONLY\nb@x.test\nc@x.test\n\nThanks":               "b@x.test c@x.test",
		"ONLY:\n- b@x.test\n- c@x.test":                    "b@x.test c@x.test",
		"ONLY b@x.test\nc@x.test":                          "b@x.test c@x.test",
		"ONLY b@x.test\nONLY c@x.test":                     "b@x.test c@x.test",
		"hello\nONLY b@x.test\n\nOnly: c@x.test":           "b@x.test c@x.test",
		"ONLY Bert Example\n<b@x.test>, Carla\n<c@x.test>": "b@x.test c@x.test",
		"ONLY b@x.test\nThanks\nAnna":                      "b@x.test",
		"ONLY b@x.test,\n\nc@x.test\n":                     "b@x.test c@x.test",
		"ONLY b@x.test,\n\nThanks":                         "b@x.test",
		"ONLY b@x.test,\n":                                 "b@x.test",
		"ONLY b@x.test and\nc@x.test":                      "b@x.test c@x.test",
		// What can't be read is for nobody.
		"ONLY":                                unclear,
		"ONLY bert":                           unclear,
		"only: bert":                          unclear,
		"ONLY bert, carla":                    unclear,
		"ONLY for b@x.test":                   "b@x.test",
		"only to Bert <b@x.test>":             "b@x.test",
		"*ONLY* b@x.test":                     "b@x.test",
		"**Only:** b@x.test":                  "b@x.test",
		"_ONLY_ b@x.test":                     "b@x.test",
		"„ONLY“ b@x.test":                     "b@x.test",
		"[ONLY] b@x.test":                     "b@x.test",
		"ONLY, b@x.test":                      "b@x.test",
		"ONLY=b@x.test":                       "b@x.test",
		"ONLY – b@x.test":                     "b@x.test",
		"ONLY->b@x.test":                      "b@x.test",
		"ＯＮＬＹ： b＠x.test，c@x.test":             "b@x.test c@x.test",
		"ONLY:\n1. b@x.test":                  unclear,
		"ONLY b@x.test but not c@x.test":      unclear,
		"ONLY Bert (b@x.test)":                unclear,
		"ONLY b(at)x.test":                    unclear,
		"please recall ONLY b@x.test":         unclear,
		"Recall it only for Bert <b@x.test>.": unclear,
		"recall this for b@x.test only":       unclear,
		"b@x.test ONLY!":                      unclear,
		"NUR b@x.test":                        unclear,
		"Nur für b@x.test":                    unclear,
		"seulement b@x.test":                  unclear,
		"Только b@x.test":                     unclear,
		"仅 b@x.test":                          unclear,
		"> please recall ONLY b@x.test":       "",
		"I only saw it now. Anna":             "",
		"This mail is intended only for the addressee; write to help@corp.test if you are not.": "",
		"Anna Miller | anna@corp.test (Monday to Friday only)":                                  "",
		"anna@corp.test, kun hverdager":                                                         "",
		"only-child families meet at noon":                                                      "",
		"only for b@x.test please":                                                              unclear,
		"ONLY b@x.test please":                                                                  unclear,
		"ONLY b@x.test, carla":                                                                  unclear,
		"ONLY b@x.test,\nThanks":                                                                unclear,
		"ONLY b@x.test, c@":                                                                     unclear,
		"ONLY not b@x.test":                                                                     unclear,
		"ONLY everybody at x.test except for b@x.test":                                          unclear,
		"ONLY b@x.test<mailto:c@x.test>":                                                        unclear,
		// Prose.
		"Only today!":                "",
		"Only three seats are left.": "",
		"only and may contain confidential information.":                        "",
		"Only the intended recipient may use this message.":                     "",
		"Only the addressee may read this mail, others write to post@corp.test": "",
		"ONLY THE INTENDED RECIPIENT MAY USE THIS MESSAGE.":                     "",
		"only":         "",
		"Onlyfans":     "",
		"onlyb@x.test": "",
		"Only for you": "",
		long:           "b@x.test",
	} {
		got := ReadOnly(strings.Split(text, "\n"))
		said := strings.Join(got.Addresses, " ")
		if got.Unclear {
			said = unclear
		}
		if said != want {
			t.Errorf("%.80q: %q, want %q", text, said, want)
		}
	}
	var many []string
	for n := range maxOnly + 1 {
		many = append(many, fmt.Sprintf("ONLY b%d@x.test", n))
	}
	if got := ReadOnly(many); !got.Unclear {
		t.Errorf("%d addresses are read as %d", len(many), len(got.Addresses))
	}
	for text, want := range map[string]string{"b@x.test, c@x.test": "b@x.test c@x.test", "bert": "", "b@x.test please": "",
		"": ""} {
		if got := ReadOnlyList(text); strings.Join(got.Addresses, " ") != want && !got.Unclear ||
			got.Unclear != (want == "") {
			t.Errorf("in a subject %q: %+v", text, got)
		}
	}
}

func FuzzOnly(f *testing.F) {
	f.Add("ONLY b@x.test, Carla <c@x.test>\nd@x.test.")
	f.Fuzz(func(t *testing.T, text string) {
		for _, a := range ReadOnly(strings.Split(text, "\n")).Addresses {
			if !isAddress(a) {
				t.Errorf("%q is not an address", a)
			}
		}
		CutMessageID(text)
		MessageIDs(text)
		s := ReadSubject(text)
		if s.Fit(s.Forms()) != SameSubject {
			t.Errorf("%q does not fit itself", text)
		}
	})
}
