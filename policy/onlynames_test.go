package policy

import (
	"strings"
	"testing"
)

// A command that says in words for whom alone it is has no addresses that could be read, and must not be for all.
func TestOnlyWithNamesInASentenceIsUnclear(t *testing.T) {
	for _, text := range []string{
		"Please recall this only for Bert.",
		"please recall it only for bert",
		"Please recall only Bert's copy",
		"Please recall the copy for Bert only.",
		"Hi,\n\nplease take it back, but only from Bert.\n\nThanks\nAnna",
		"I would like to recall the message of this morning with the wrong prices, but only\nfor Bert Miller.",
		"I would like to recall it\nonly for Bert Miller of the sales department, please.",
		"please recall it only\nfor b@x.test",
		"Recall for Bert only",
		"Recall Bert and Carla only",
		"Please recall it ONLY FOR BERT",
		"Please recall only the mail to Bert",
		"recall it only for the sales team",
		"Please withdraw it for Bert only",
		"only for Bert",
		"Only for him",
		"only for bert please",
		"For Bert only",
		"Bert only",
		"Only Bert",
		"only bert",
		"Only Bert and Carla",
		"Hello\n\nonly for Bert\n\nThanks, Anna",
		"Nur für Bert",
		"nur Bert bitte",
		"Bitte nur für b@x.test zurückrufen",
		"Bitte nur für Bert zurückrufen",
		"Seulement pour Bert",
		"Solo para Berta",
		"Alleen voor Bert",
		"Только для Ивана",
		"b@x.testのみ取り消してください",
	} {
		if o := ReadOnly(strings.Split(text, "\n")); !o.Unclear {
			t.Errorf("%q is %q", text, o.Addresses)
		}
	}
}

// Ordinary sentences with "only" recall for all, as the rest of the mail says.
func TestOnlyInOrdinarySentencesIsProse(t *testing.T) {
	signature := strings.Repeat("Anna Miller\nSales\n", 3)
	for _, text := range []string{
		"I only saw it now.",
		"Please recall it, I only saw the mistake now.",
		"Please recall it. I only noticed it after sending.",
		"Please recall it only if it is still waiting",
		"It was only a draft, please take it back",
		"Only today!",
		"Only a test",
		"only testing",
		"Only three seats are left.",
		"Sorry, it was for internal use only",
		"For internal use only",
		"For your information only.",
		"Only for you",
		"Only for the addressee.",
		"Monday to Friday only",
		"This e-mail is intended for the addressee\nonly and may contain confidential information.",
		"This e-mail is intended only for the named recipient. If it reached you by mistake, please delete it.",
		"Solely and only for the use of the individual or entity to whom it is addressed",
		"please\n\n-- \nAnna Miller\nOnly for Members\nNur für Bert\ncontact only via anna@corp.test",
		signature + "Only for Members of the club\nMembers only",
		"Nur heute",
		"Nur zur internen Verwendung",
		"Just recall it",
		"> please recall it only for Bert",
	} {
		if o := ReadOnly(strings.Split(text, "\n")); o.Said() {
			t.Errorf("%q: %+v", text, o)
		}
	}
}
