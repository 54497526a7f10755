package web_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/test/server"
)

// The page says why a message waits in the language of the browser, and the API in that of the sender.
func TestThePageAndTheAPISayWhyAMessageWaits(t *testing.T) {
	t.Parallel()
	h := &house{t: t, redis: server.StartRedis(t), marker: mark.New([]byte("secret")), ids: map[string]string{}}
	h.serve(fmt.Sprintf("[redis]\naddresses = [%q]\n", h.redis.Addr)+`
[recall]
languages = { "corp.test" = "fr" }
[[hold.rule]]
name = "board"
reason = { en = "The <board> waits.", de = "Der Vorstand wartet.", fr = "Le conseil attend." }
`, "[web.sign_in]\nheader = \"Remote-User\"\n")
	h.hold("plan", "anna", "anna@corp.test", "board")
	h.hold("other", "anna", "anna@corp.test", "default")
	h.holdFor("closed", "bert", "bert@corp.test", holdstore.Terms{Rule: "board", Grace: 48 * time.Hour, Fixed: true})
	h.holdFor("asked", "bert", "bert@corp.test", holdstore.Terms{Rule: "default", Grace: 48 * time.Hour, Fixed: true})
	for subject, want := range map[string]string{"closed": `the rule &#34;board&#34;, until `,
		"asked": "It waits until "} {
		hold, err := h.store.Get(t.Context(), h.ids[subject])
		if err != nil {
			t.Fatal(err)
		}
		want += `<time datetime="` + hold.Due.UTC().Format(time.RFC3339) + `">`
		leaves := `Leaves at <time datetime="` + hold.Due.UTC().Format(time.RFC3339) + `">`
		bert := h.guest("Remote-User", "bert", "Accept-Language", "en")
		if _, page, _ := bert.ask("GET", "/m/"+h.ids[subject], ""); !strings.Contains(page, want) ||
			!strings.Contains(page, leaves) {
			t.Errorf("%s lacks %q or %q:\n%s", subject, want, leaves, page)
		}
	}
	for language, want := range map[string]string{"de": "<bdi>Der Vorstand wartet.</bdi>",
		"en": "<bdi>The &lt;board&gt; waits.</bdi>", "es": "<bdi>The &lt;board&gt; waits.</bdi>"} {
		anna := h.guest("Remote-User", "anna", "Accept-Language", language)
		if _, page, _ := anna.ask("GET", "/m/"+h.ids["plan"], ""); !strings.Contains(page, want) {
			t.Errorf("in %s it is not there: %s\n%s", language, want, page)
		}
		if _, page, _ := anna.ask("GET", "/m/"+h.ids["other"], ""); strings.Contains(page, "board") {
			t.Errorf("in %s another message has the reason\n%s", language, page)
		}
		_, all, _ := anna.ask("GET", "/api/v1/holds", "")
		if strings.Count(all, `"reason":"Le conseil attend."`) != 1 || strings.Count(all, `"id"`) != 2 {
			t.Errorf("the API says %s", all)
		}
	}
}
