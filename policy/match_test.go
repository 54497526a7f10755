package policy

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSubjectsFitFromExactToLoose(t *testing.T) {
	for _, c := range []struct {
		recall, message string
		want            SubjectFit
	}{
		{"plan", "plan", SameSubject},
		{"Plan ", "  PLAN", SameSubject},
		{"", "", SameSubject},
		{"plan", "", AnotherSubject},
		{"", "plan", AnotherSubject},
		{"a\u00a0b", "a b", SameSubject},
		{"\u200eplan", "plan", SameSubject},
		{"plan", "RE: plan", WithoutReply},
		{"plan", "Fw: Re: plan", WithoutReply},
		{"plan", "AW: WG: plan", WithoutReply},
		{"plan", "[EXT] RE: plan", WithoutReply},
		{"[EXT] plan", "RE: [EXT] plan", WithoutReply},
		{"plan", "Antwort: plan", WithoutReply},
		{"plan", "XY: plan", WithoutReply}, // Outlook's rule
		{"RE: plan", "plan", BothWithout},
		{"RE: plan", "AW: plan", BothWithout},
		{"RE: plan", "RE: plan", SameSubject},
		{"Re: Re: plan", "plan", BothWithout},
		// What only looks like a reply word.
		{"Sales: plan", "Legal: plan", AnotherSubject},
		{"plan", "Legal: plan", AnotherSubject},
		{"HR: plan", "IT: plan", AnotherSubject},
		{"HR: plan", "plan", AnotherSubject},
		{"Recall: kettles", "kettles", AnotherSubject},
		{"Recall: kettles", "Recall: kettles", SameSubject},
		{"[ops] plan", "plan", AnotherSubject},
		{"C:x", "x", AnotherSubject},
		{"x", "C:x", AnotherSubject},
		{"10:30", "30", AnotherSubject},
		{"plan", "撤回: plan", AnotherSubject}, // a recall is another mail
		{"撤回: plan", "撤回: plan", SameSubject},
	} {
		if got := ReadSubject(c.recall).Fit(ReadSubject(c.message).Forms()); got != c.want {
			t.Errorf("a recall of %q fits %q at level %d, want %d", c.recall, c.message, got, c.want)
		}
		if c.want < AnotherSubject && ReadSubject(c.recall).Bare() != ReadSubject(c.message).Bare() {
			t.Errorf("%q and %q fit, and would not be found together", c.recall, c.message)
		}
	}
	long := ReadSubject(strings.Repeat("Re: ", 100) + "plan")
	if len(long.Forms()) > maxForms || long.Bare() != "plan" {
		t.Errorf("100 reply words have the forms %q", long.Forms())
	}
}

func TestReplyWordsOfManyLanguagesAreTakenOff(t *testing.T) {
	for _, before := range []string{"RE: ", "Re:", "RE : ", "re[2]: ", "Re(3): ", "Re^2: ", "AW: ", "Antwort: ",
		"Antw.: ", "Odp.: ", "Odpowiedź: ",
		"Respuesta: ", "RE: [EXT] ", "[EXTERNAL] Re: ", "\u200fהשב: ", "回复: ", "答复：", "返信: ", "회신: ", "Ynt: ", "İLT: ",
		"VÁ: ", "ΑΠ: ", "SV: ", "Отв: ",
		"Trả lời: ", "Vastaus: ", "Antwoord: ", "Besvarat: ", "ตอบกลับ: ", "Weiterleitung: ", "Transféré : ", "Przekazane: ",
		"[EXT]: ", "[SPAM] Re: ", "RE: AW: SV: ", "R: ", "\u00a0Re:\u00a0", "\u202aRe:\u202c ", "Re: Fwd: "} {
		if got := WithoutReplyWords(before + "RECALL Last"); got != "RECALL Last" {
			t.Errorf("%q leaves %q", before, got)
		}
	}
	for _, whole := range []string{"Sales: plan", "Legal: plan", "Recall: plan", "Status update: plan", "http://x.test",
		": plan", "plan", ""} {
		if got := WithoutReplyWords(whole); got != whole {
			t.Errorf("%q becomes %q", whole, got)
		}
	}
	for subject, forwarded := range map[string]bool{"Fwd: x": true, "WG: x": true, "[EXT] FW: x": true, "转发: x": true,
		"Re: x": false, "x": false, "[x": false, "Re: Fwd: x": false} {
		if IsForward(subject) != forwarded || IsReply(subject) != strings.HasPrefix(subject, "Re") {
			t.Errorf("%q: forwarded %v, reply %v", subject, IsForward(subject), IsReply(subject))
		}
	}
}

func TestMessageIDsAreReadAsTheyAreFound(t *testing.T) {
	long := "<" + strings.Repeat("d", 300) + "@x.test>"
	for value, want := range map[string]string{
		" <a@x.test>":                        "<a@x.test>",
		"<a>":                                "<a>",
		"<a@b@x.test>":                       "<a@b@x.test>",
		"<a b@x.test>":                       "<a b@x.test>",
		"<a\r\n b@x.test>":                   "<a b@x.test>",
		long:                                 long,
		"\r\n " + long:                       long,
		"<a@x.test> (added by mx)":           "<a@x.test>",
		"<a@x.test>.":                        "<a@x.test>",
		`<"a>b"@x.test>`:                     `<"a>b"@x.test>`,
		`<a"b@x.test>`:                       `<a"b@x.test>`,
		"a@x.test":                           "a@x.test",
		"a@x.test.":                          "a@x.test",
		"a@x.test (added by mx)":             "a@x.test",
		"a@x.test <b@x.test>":                "a@x.test",
		"Your mail <a@x.test>":               "<a@x.test>",
		"<>":                                 "",
		"":                                   "",
		"<a":                                 "",
		"<a\x00@x.test>":                     "",
		"<" + strings.Repeat("a", 999) + ">": "",
	} {
		if got := MessageID(value); got != want {
			t.Errorf("%q is read as %q, want %q", value, got, want)
		}
	}
	if got := MessageIDs("<a@x> (b) <c>\r\n\t<d <e f@x>, g"); !slices.Equal(got, []string{"<a@x>", "<c>", "<e f@x>"}) {
		t.Errorf("several: %q", got)
	}
}

func TestEqualRecipientsFitBetterThanMore(t *testing.T) {
	for want, sets := range map[RecipientFit][2]string{SameRecipients: {"a b b", "b a a"}, MoreRecipients: {"a", "a b"},
		OtherRecipients: {"a c", "a b"}} {
		if got := FitRecipients(strings.Fields(sets[0]), strings.Fields(sets[1])); got != want {
			t.Errorf("%q: %d, want %d", sets, got, want)
		}
	}
	exact, loose := Fit{SameSubject, MoreRecipients}, Fit{WithoutReply, SameRecipients}
	if exact.Compare(loose) >= 0 || loose.Compare(exact) <= 0 || exact.Compare(exact) != 0 {
		t.Error("the subject does not come before the recipients")
	}
}

func TestACommandMeansNothingThatWasSentAfterIt(t *testing.T) {
	at := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		message, came, command time.Time
		after                  bool
	}{
		{at, at, at.Add(time.Second), false},
		{at, at, at, false}, // Date has no parts of a second
		{at.Add(time.Second), at, at, true},
		{at, at.Add(time.Hour), at.Add(time.Second), false}, // it came late
		{time.Time{}, at, at, false},
		{time.Time{}, at.Add(slack), at, false},
		{time.Time{}, at.Add(time.Hour), at, true},
		{at, at, time.Time{}, false},
	} {
		if got := SentAfter(c.message, c.came, c.command); got != c.after {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
