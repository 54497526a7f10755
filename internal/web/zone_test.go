package web_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Without a script moments are those that a clock in the zone of the rules shows, and so are those that are typed.
func TestMomentsAreInTheZoneOfTheRules(t *testing.T) {
	t.Parallel()
	h := open(t, withBoss)
	h.serve(fmt.Sprintf("[redis]\naddresses = [%q]\n%s", h.redis.Addr,
		strings.Replace(rules, "[hold]\n", "[hold]\nzone = \"Asia/Kathmandu\"\n", 1)), withBoss)
	kathmandu, err := time.LoadLocation("Asia/Kathmandu")
	if err != nil {
		t.Fatal(err)
	}
	due, err := h.store.Get(t.Context(), h.ids["of anna"])
	if err != nil {
		t.Fatal(err)
	}
	_, page, _ := h.guest("Remote-User", "anna").ask("GET", "/m/"+h.ids["of anna"], "")
	if want := due.HeldAt.In(kathmandu).Format("15:04:05") + " +0545</time>"; !strings.Contains(page, want) ||
		strings.Count(page, "</time>") != strings.Count(page, " +0545</time>") {
		t.Errorf("without %q:\n%s", want, page)
	}
	boss := h.guest("Remote-User", "boss")
	for from, found := range map[time.Duration]bool{-time.Minute: true, time.Minute: false} {
		typed := due.HeldAt.Add(from).In(kathmandu).Format("2006-01-02 15:04:05")
		_, page, _ := boss.ask("GET", "/operator/?state=all&since="+url.QueryEscape(typed), "")
		if strings.Contains(page, "of anna") != found {
			t.Errorf("since %s: found %v", typed, !found)
		}
	}
}
