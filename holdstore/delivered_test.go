package holdstore

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// cameIn remembers a message from mallory to some recipients whose mailboxes can be reached.
func cameIn(t *testing.T, s *Store, id, subject, body string, at time.Time, to ...string) {
	t.Helper()
	d := &Delivered{MessageID: id, Author: "mallory@evil.test", Sender: "bounce@evil.test", Subject: subject,
		Header: "h:" + subject, Body: body, Recipients: to, At: at}
	r := Remembered{MessageID: id, From: d.Author, Recipients: append([]string{"else@far.test"}, to...),
		Subjects: []string{subject}, Ways: []Way{{Client: "192.0.2.7"}}, At: at, Delivered: d}
	if err := s.Remember(t.Context(), []Remembered{r}, time.Hour); err != nil {
		t.Fatal(err)
	}
}

func TestWhatCameInIsFoundByEachFilter(t *testing.T) {
	s, now := open(t, server.StartRedis(t).Addr), time.Now()
	cameIn(t, s, "<1@evil.test>", "Your account", "b1", now.Add(-2*time.Hour), "anna@corp.test", "bert@corp.test")
	cameIn(t, s, "<2@evil.test>", "lunch", "b2", now.Add(-time.Hour), "bert@corp.test")
	for n := range 1200 { // more than a page
		cameIn(t, s, fmt.Sprintf("<bulk-%d@evil.test>", n), "bulk", "b", now, "carl@corp.test")
	}
	for name, c := range map[string]struct {
		q    DeliveredQuery
		want string // recipients of each
	}{
		"Message-ID":          {DeliveredQuery{MessageIDs: []string{"<1@evil.test>"}}, "anna@corp.test,bert@corp.test"},
		"bare Message-ID":     {DeliveredQuery{MessageIDs: []string{"1@EVIL.test"}}, "anna@corp.test,bert@corp.test"},
		"author":              {DeliveredQuery{Sender: "MALLORY@evil.test", Subject: "lunch"}, "bert@corp.test"},
		"envelope sender":     {DeliveredQuery{Sender: "bounce@*", Subject: "lunch"}, "bert@corp.test"},
		"another sender":      {DeliveredQuery{Sender: "anna@corp.test"}, ""},
		"subject":             {DeliveredQuery{Subject: "ACCOUNT"}, "anna@corp.test,bert@corp.test"},
		"recipient":           {DeliveredQuery{Recipient: "anna@*"}, "anna@corp.test"},
		"who was not reached": {DeliveredQuery{Recipient: "else@far.test"}, ""},
		"until":               {DeliveredQuery{Until: now.Add(-90 * time.Minute)}, "anna@corp.test,bert@corp.test"},
		"between": {DeliveredQuery{Since: now.Add(-90 * time.Minute), Until: now.Add(-30 * time.Minute)},
			"bert@corp.test"},
	} {
		all, _, err := s.FindDelivered(t.Context(), c.q)
		var got []string
		for _, d := range all {
			got = append(got, d.Recipients...)
		}
		if err != nil || strings.Join(got, ",") != c.want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if all, _, err := s.FindDelivered(t.Context(), DeliveredQuery{Subject: "bulk"}); err != nil || len(all) != 1200 {
		t.Errorf("%d of 1200 are found, %v", len(all), err)
	}
}

// What Redis has tells nobody without the key who got mail from whom.
func TestRecipientsOfDeliveredMailAreSealed(t *testing.T) {
	redis := server.StartRedis(t)
	s := openWith(t, Options{Addresses: []string{redis.Addr}, SealKeys: [][]byte{key(1)}})
	cameIn(t, s, "<1@evil.test>", "Your account", "b", time.Now(), "anna@corp.test")
	id := s.NewClawID()
	if err := s.AddClawBack(t.Context(), id, "anna@corp.test", []any{"anna@corp.test"}, time.Hour, Entry{}); err != nil {
		t.Fatal(err)
	}
	for _, key := range s.nodes.Client.Keys(t.Context(), "*").Val() {
		for field, value := range s.nodes.Client.HGetAll(t.Context(), key).Val() {
			if strings.Contains(value, "anna@corp.test") || strings.Contains(value, "account") {
				t.Errorf("%s %s: %q", key, field, value)
			}
		}
	}
	if all, _, err := s.FindDelivered(t.Context(), DeliveredQuery{Subject: "account"}); err != nil || len(all) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
	other := open(t, redis.Addr)
	if all, unread, err := other.FindDelivered(t.Context(), DeliveredQuery{}); err != nil || len(all) != 0 || unread != 1 {
		t.Errorf("without the key: %+v, %d unread, %v", all, unread, err)
	}
}

// Each mailbox gets one result, whoever writes it, and the last one ends the claw back.
func TestAMailboxOfAClawBackHasOneResult(t *testing.T) {
	s, ctx := open(t, server.StartRedis(t).Addr), t.Context()
	var targets []any
	for n := range 450 {
		targets = append(targets, n)
	}
	id := s.NewClawID()
	if _, err := s.ClawBack(ctx, id); err == nil {
		t.Error("it is there before it was ordered")
	}
	for range 2 { // its caller did not hear the answer of the first
		if err := s.AddClawBack(ctx, id, "what", targets, time.Hour, Entry{Verb: "retract"}); err != nil {
			t.Fatal(err)
		}
	}
	for n := range targets {
		for _, result := range []string{"first", "second"} {
			if err := s.EndClaw(ctx, id, n, "moved", result, false, time.Hour, Entry{Verb: "retract"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	c, err := s.ClawBack(ctx, id)
	if err != nil || c.Left != 0 || c.Mailboxes != 450 || c.Ended.IsZero() {
		t.Errorf("%+v, %v", c, err)
	}
	all, err := s.ClawMailboxes(ctx, id, []int{0, 449})
	for _, m := range all {
		var result string
		if done, wrong := m.Result(&result); !done || wrong != nil || result != "first" {
			t.Errorf("%d: %q, %v", m.N, result, wrong)
		}
	}
	if err != nil || len(all) != 2 {
		t.Error(all, err)
	}
	entries := 0
	for e, err := range s.Log(ctx, time.Time{}, false) {
		if err == nil && e.Verb == "retract" {
			entries++
		}
	}
	if entries != 451 {
		t.Errorf("%d lines in the trail, want one for the order and one for each mailbox", entries)
	}
	if err := s.EndClaw(ctx, id, 0, "refused", "later", true, time.Hour, Entry{}); err != nil {
		t.Fatal(err)
	}
	if c, err := s.ClawBack(ctx, id); err != nil || c.Left != 0 {
		t.Errorf("%+v, %v", c, err)
	}
	counts, err := s.ClawCounts(ctx, id, []string{"moved", "refused", "not-found"})
	if err != nil || !slices.Equal(counts, []int{449, 1, 0}) {
		t.Errorf("the counts of outcomes: %v %v", counts, err)
	}
	if all, err := s.ClawBacks(ctx, 10); err != nil || len(all) != 1 || all[0].ID != id {
		t.Errorf("%+v, %v", all, err)
	}
	if !slices.ContainsFunc(kinds, func(k keyKind) bool { return k.begin == "cb:" }) {
		t.Error("fsck does not know claw backs")
	}
}
