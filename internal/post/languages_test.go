package post

import (
	"bytes"
	"mime"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/words"
)

// toSenders are the forms of mails to senders. Of the others, taken goes to our own recipients in their language, and
// the rest to other organisations, in English.
var toSenders = []string{"recalled", "partly", "too-late", "refused", "not-found", "ambiguous", "help", "notice",
	"released", "extended", "restored", "not-now",
	"outcome", "sign-in"}

func fullLetter() letter {
	return letter{Subject: "価格表 – Preisliste", MessageID: "<a@b>", ID: "3F7KPRQ2M9ABC", HeldAt: "HELD", Until: "UNTIL",
		More: 3, Rcpt: []RecipientOutcome{{"bert@far.test", holdstore.Result{Outcome: holdstore.Sent, Detail: "250 ok"}}},
		Missing: []string{"m@far.test"}, Asked: "ASKED", Why: "WHY", Held: []waiting{{"ID", "S", "TO", "UNTIL"}},
		AnswerBy: "BY", Again: true, Told: []told{{"t@far.test", "WORDS", ""}}, Address: "recall@corp.test", Link: "LINK",
		Rule: "RULE", Reason: "REASON"}
}

var filled = regexp.MustCompile(`HELD|UNTIL|RULE|REASON|WHY|ASKED|LINK|recall@corp\.test|3F7KPRQ2M9ABC|` +
	`RECALL|LAST|ONLY|BY`)

// Each language says what English says: with all that is filled in, and the words that the gateway reads.
func TestEveryMailToASenderIsInEveryLanguage(t *testing.T) {
	t.Parallel()
	texts, err := ReadTexts("", words.Languages()...)
	if err != nil {
		t.Fatal(err)
	}
	someAsked, nobodyAsked := fullLetter(), fullLetter()
	someAsked.NotAsked, nobodyAsked.AnswerBy = true, ""
	for _, name := range toSenders {
		for _, l := range []letter{fullLetter(), someAsked, nobodyAsked} {
			_, inEnglish, _ := texts.write(english, name, l)
			want := filled.FindAllString(inEnglish, -1)
			slices.Sort(want)
			for _, language := range words.Languages() {
				subject, body, err := texts.write(language, name, l)
				got := filled.FindAllString(body, -1)
				slices.Sort(got)
				if err != nil || !slices.Equal(got, want) || strings.Contains(subject+body, "mail-") || subject == "" {
					t.Errorf("%s in %s: %v\nhas %v\nwant %v\n%s\n%s", name, language, err, got, want, subject, body)
				}
				if language != english && body == inEnglish {
					t.Errorf("%s in %s is English", name, language)
				}
			}
		}
	}
}

// The sender of a recall that was too late, for all or for some, hears until when the gateways answer that were asked,
// and is told to write to everyone whose gateway was not.
func TestASenderWhoIsTooLateHearsWhoWasAskedAndWhomToWriteTo(t *testing.T) {
	t.Parallel()
	texts, err := ReadTexts("")
	if err != nil {
		t.Fatal(err)
	}
	const all, some = "The mail systems of the recipients were asked", "The mail systems of some recipients were asked"
	const answers, write, others = "their answers by ", "Please write to those who got it", "Please write to the others"
	by := time.Date(2026, 11, 30, 7, 0, 0, 0, time.UTC)
	back, failed := holdstore.Result{Outcome: holdstore.TakenBack}, holdstore.Result{Outcome: holdstore.Failed}
	requested, refused := holdstore.Result{Outcome: holdstore.Requested}, holdstore.Result{Outcome: holdstore.Refused}
	sent, pending := holdstore.Result{Outcome: holdstore.Sent}, holdstore.Result{Outcome: holdstore.Pending}
	cutOff := holdstore.Result{Outcome: holdstore.Unknown, CutOff: true}
	for _, c := range []struct {
		by      time.Time
		results []holdstore.Result // of the first message; of the second the one recipient was asked
		say     []string
	}{
		{by, []holdstore.Result{back, failed, refused}, []string{all, answers}},
		{by, []holdstore.Result{back, sent}, []string{some, answers, others}},
		{by, []holdstore.Result{pending}, []string{some, answers, others}},
		{by, []holdstore.Result{requested, cutOff}, []string{some, answers, others}},
		{time.Time{}, []holdstore.Result{back, sent}, []string{write}},
	} {
		first := &holdstore.Hold{Results: c.results,
			Submission: holdstore.Submission{Recipients: make([]holdstore.Path, len(c.results))}}
		second := &holdstore.Hold{Results: []holdstore.Result{requested},
			Submission: holdstore.Submission{Recipients: make([]holdstore.Path, 1)}}
		l := (&Answer{Done: []*holdstore.Hold{first, second}, AnswerBy: c.by}).letter("", english, texts.Clock)
		for _, name := range []string{"too-late", "partly"} {
			_, said, err := texts.write(english, name, l)
			for _, words := range []string{all, some, answers, write, others} {
				if strings.Contains(said, words) != slices.Contains(c.say, words) || err != nil {
					t.Errorf("%s with %v: want only %q, got %v\n%s", name, c.results, c.say, err, said)
					break
				}
			}
		}
	}
}

// A mail is good on the wire in every language: ASCII fields, encoded words that are short enough (RFC 2047), no line
// over 998 bytes (RFC 5322), and a reader gets the text back.
func TestAMailInAnyLanguageIsGoodOnTheWire(t *testing.T) {
	t.Parallel()
	texts, err := ReadTexts("", words.Languages()...)
	if err != nil {
		t.Fatal(err)
	}
	p := New(nil, texts, "recall@corp.test")
	l := fullLetter()
	l.Subject = strings.Repeat("見積書と価格表", 40)
	for _, language := range words.Languages() {
		subject, body, err := texts.write(language, "notice", l)
		if err != nil {
			t.Fatal(err)
		}
		d := dispatch{to: []holdstore.Path{{Address: "anna@corp.test"}}, auto: "auto-replied"}
		more, content := multipartReport(body, d)
		whole := p.header(d, "gw.corp.test", "<x@gw.corp.test>", subject) + more + "\r\n" + content
		for line := range strings.Lines(whole) {
			if len(line) > 1000 || !strings.HasSuffix(line, "\r\n") {
				t.Errorf("%s: a line of %d bytes: %.60q", language, len(line), line)
			}
		}
		m, err := mail.ReadMessage(strings.NewReader(whole))
		if err != nil {
			t.Fatal(err)
		}
		header, _, _ := strings.Cut(whole, "\r\n\r\n")
		for _, word := range regexp.MustCompile(`=\?[^ ]*\?=`).FindAllString(header, -1) {
			if len(word) > 75 {
				t.Errorf("%s: an encoded word of %d characters", language, len(word))
			}
		}
		read, err := (&mime.WordDecoder{}).DecodeHeader(m.Header.Get("Subject"))
		var got bytes.Buffer
		_, _ = got.ReadFrom(m.Body)
		if err != nil || read != subject || !isASCII(header) || got.String() != body {
			t.Errorf("%s: %v\n%q\n%q", language, err, read, subject)
		}
	}
}

// A person reads every moment of a mail as the clock by which the site's rules go shows it.
func TestMomentsInMailsAreThoseOfTheSitesClock(t *testing.T) {
	t.Parallel()
	texts, err := ReadTexts("")
	if err != nil {
		t.Fatal(err)
	}
	texts.Use(Site{Language: func(string, string) string { return english },
		Clock: func(t time.Time) time.Time { return t.In(time.FixedZone("NPT", 20700)) }})
	at := time.Date(2026, 11, 30, 7, 0, 0, 0, time.UTC)
	sent := holdstore.Result{Outcome: holdstore.Sent, Detail: "250 ok", At: at.Add(3 * time.Hour)}
	h := &holdstore.Hold{Due: at, Submission: holdstore.Submission{Recipients: []holdstore.Path{{Address: "b@x.test"}}},
		HeldAt: at.Add(time.Hour), Results: []holdstore.Result{sent}}
	l := (&Answer{Done: []*holdstore.Hold{h}, Held: []*holdstore.Hold{h}, AnswerBy: at.Add(2 * time.Hour)}).letter("",
		english, texts.Clock)
	said := []string{l.Until, l.HeldAt, l.AnswerBy, l.Rcpt[0].Words(), l.Held[0].Until}
	for n, hour := range []string{"12", "13", "14", "15", "12"} {
		if want := hour + ":45:00 on 30 Nov 2026 (NPT)"; !strings.Contains(said[n], want) {
			t.Errorf("%q has no %s", said[n], want)
		}
	}
	if !h.Results[0].At.Equal(sent.At) || h.Results[0].At.Location() != time.UTC {
		t.Error("the hold itself was changed")
	}
}

func TestTheLanguageOfAMailIsThatOfTheRuleTheDomainOrTheSite(t *testing.T) {
	t.Parallel()
	texts, err := ReadTexts("", "fr", "de", "ja")
	if err != nil {
		t.Fatal(err)
	}
	texts.Use(Site{Language: func(rule, sender string) string { return rule + sender }})
	for want, given := range map[string][2]string{"de": {"de", ""}, "ja": {"", "ja"}, "fr": {"", "xx"}} {
		if got := texts.languageFor(given[0], given[1]); got != want {
			t.Errorf("%q: %s, want %s", given, got, want)
		}
	}
	h := &holdstore.Hold{Due: time.Unix(0, 0)}
	if got := (&Answer{Done: []*holdstore.Hold{h}}).letter("", "ja", texts.Clock).Until; !strings.HasPrefix(got, "19") {
		t.Errorf("a moment in Japanese: %s", got)
	}
	if _, err := ReadTexts("", "en", "xx"); err == nil {
		t.Error("a language without texts was taken")
	}
}
