package words

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// A text that a language lacks is shown in English; this finds it, and texts that English lacks.
func TestEveryLanguageHasEveryText(t *testing.T) {
	texts, err := Read("", Languages()...)
	if err != nil {
		t.Fatal(err)
	}
	if len(texts.Names) < 6 {
		t.Fatalf("only %v are there", texts.Names)
	}
	for _, name := range texts.Names {
		for key, words := range texts.texts[english] {
			own := texts.texts[name][key]
			want, got := placeholder.FindAllString(words, -1), placeholder.FindAllString(own, -1)
			slices.Sort(want)
			slices.Sort(got)
			if own == "" || !slices.Equal(got, want) {
				t.Errorf("%s: %s: %q", name, key, own)
			}
		}
		for key := range texts.texts[name] {
			if texts.texts[english][key] == "" {
				t.Errorf("%s: there is no text %s", name, key)
			}
		}
	}
}

// A language that has no words for something shows it in English, a site's own language as well; what no language has
// is shown by its name, so that somebody sees it.
func TestATextThatALanguageLacksIsEnglish(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "it.txt"), []byte("take-back: Annulla\nsend-now:\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := Read(folder, "it", "de")
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"take-back": "Annulla", "send-now": English().Say(english, "send-now"),
		"span-m": "5 min", "no-such-text": "no-such-text"} {
		if got := w.Say("it", key, 5); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
}

func TestTheBrowserChoosesTheLanguage(t *testing.T) {
	texts, err := Read("", "en", "de", "zh", "ja")
	if err != nil {
		t.Fatal(err)
	}
	for accepted, want := range map[string]string{"de-AT,de;q=0.9,en;q=0.8": "de", "zh-CN": "zh", "it": "en", "": "en",
		"ja;q=0.5, it": "ja", "\x00": "en", "en-GB": "en"} {
		if got := texts.Choose(accepted); got != want {
			t.Errorf("%q: %s, want %s", accepted, got, want)
		}
	}
}

func TestASitesOwnTextReplacesOurs(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "de.txt"), []byte("# eigenes\ntake-back: Stopp\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	texts, err := Read(folder, "de")
	if err != nil {
		t.Fatal(err)
	}
	if got := texts.Say("de", "take-back") + " " + texts.Say("de", "send-now"); got != "Stopp Jetzt senden" {
		t.Errorf("%q", got)
	}
	if _, err := Read(folder, "xx"); err == nil {
		t.Error("a language without texts was taken")
	}
}

// A variant has its own few texts, then the site's of its language, then ours.
func TestAVariantOfALanguageHasItsTexts(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for name, text := range map[string]string{"de": "take-back: Stopp\n",
		"de-x-bank": "mail-you: Sehr geehrte Damen und Herren\n"} {
		if err := os.WriteFile(filepath.Join(folder, name+".txt"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w, err := Read(folder, "en", "de-x-bank")
	if err != nil {
		t.Fatal(err)
	}
	ours, err := Read("", "de")
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"mail-you": "Sehr geehrte Damen und Herren", "take-back": "Stopp",
		"outcome-recalled": ours.Say("de", "outcome-recalled")} {
		if got := w.Say("de-x-bank", key); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	if w.Say("en", "take-back") == "Stopp" {
		t.Error("another language has them too")
	}
	if _, err := Read(folder, "de-x-shop"); err == nil {
		t.Error("a variant without texts was taken")
	}
}

func TestAnAbbreviationEndsASentenceWithOneFullStop(t *testing.T) {
	t.Parallel()
	w := &Words{texts: map[string]map[string]string{
		english: {"wait": "It waits {0}.", "dots": "Wait {0}...", "plain": "{0}. {1}"}}}
	for _, c := range []struct {
		key, want string
		with      []any
	}{
		{"wait", "It waits 2 Min.", []any{"2 Min."}},
		{"wait", "It waits 2 min.", []any{"2 min"}},
		{"dots", "Wait 2 Min...", []any{"2 Min."}},
		{"plain", "a. b.", []any{"a", "b."}},
		{"plain", "a. {1}", []any{"a"}},
	} {
		if got := w.Say(english, c.key, c.with...); got != c.want {
			t.Errorf("%s %v: %q", c.key, c.with, got)
		}
	}
}
