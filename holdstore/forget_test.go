package holdstore_test

import (
	"slices"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/server"
)

// All that the store knows of a person goes, and nothing of anybody else's; what is held stays, and is named.
func TestAPersonIsForgotten(t *testing.T) {
	t.Parallel()
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{server.StartRedis(t).Addr},
		RecallRetention: time.Hour, RecordRetention: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	ctx, by := t.Context(), holdstore.Actor{By: "root", From: "test"}
	hold := func(login, sender, to string) string {
		t.Helper()
		p := store.Put(holdstore.Submission{Login: login, Sender: holdstore.Path{Address: sender},
			Recipients: []holdstore.Path{{Address: to}}}, []byte("Subject: x\r\n"))
		c, err := p.Commit(ctx, holdstore.Terms{Grace: time.Hour, Rule: "default"})
		if err != nil {
			t.Fatal(err)
		}
		return c.ID
	}
	recall := func(id string) string {
		t.Helper()
		if _, err := store.Recall(ctx, id, by); err != nil {
			t.Fatal(err)
		}
		return id
	}
	gone := []string{recall(hold("", "Anna@corp.test", "b@x.test")),
		recall(hold("anna@corp.test", "a@corp.test", "b@x.test")),
		recall(hold("bert", "bert@corp.test", "anna@corp.test"))}
	stays := []string{hold("", "anna@corp.test", "b@x.test"), recall(hold("", "joanna@corp.test", "b@x.test"))}
	own := time.Minute
	for _, name := range []string{"address anna@corp.test", "login bert"} {
		if err := store.ChooseGrace(ctx, []string{name}, &own, by); err != nil {
			t.Fatal(err)
		}
	}
	for n, from := range []string{"anna@corp.test", "bert@corp.test"} {
		r := holdstore.Remembered{MessageID: "<in@corp.test>", From: from, At: time.Now(),
			Recipients: []string{"c@corp.test"}, Ways: []holdstore.Way{{Domain: "corp.test"}}}
		if err := store.Remember(ctx, []holdstore.Remembered{r}, time.Hour); err != nil {
			t.Fatal(n, err)
		}
	}
	found, err := store.Traces(ctx, "anna@corp.test")
	slices.Sort(gone)
	if err != nil || !slices.Equal(found.Records, gone) || !slices.Equal(found.Waiting, stays[:1]) || !found.Chosen ||
		len(found.Remembered) != 1 {
		t.Fatalf("%v %+v, want %v", err, found, gone)
	}
	if n, err := store.ForgetPerson(ctx, "anna@corp.test", found, by); err != nil || n != 3 {
		t.Fatal(n, err)
	}
	if found, err = store.Traces(ctx, "ANNA@corp.test"); err != nil || len(found.Records)+len(found.Remembered) != 0 ||
		found.Chosen || len(found.Waiting) != 1 {
		t.Errorf("%v, and there is still %+v", err, found)
	}
	for _, id := range stays {
		if _, err := store.Get(ctx, id); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	if kept, err := store.ChosenGrace(ctx, "login bert"); err != nil || kept == nil {
		t.Error("another person's choice is gone")
	}
	if others, err := store.Traces(ctx, "bert@corp.test"); err != nil || len(others.Remembered) != 1 {
		t.Errorf("%v %+v", err, others)
	}
	for fault, err := range store.Fsck(ctx, false, nil) {
		t.Errorf("fsck: %+v %v", fault, err)
	}
}

func TestAPatternIsNoPerson(t *testing.T) {
	t.Parallel()
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{server.StartRedis(t).Addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for _, name := range []string{"", "*", "*@corp.test", "/a/", "a?c@x"} {
		if _, err := store.Traces(t.Context(), name); err == nil {
			t.Errorf("%q was taken", name)
		}
	}
}
