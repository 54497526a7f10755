package retraction

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/internal/protocol"
	"github.com/recall-milter/recall-milter/policy"
	"github.com/recall-milter/recall-milter/test/server"
)

// Anybody can write a bounce that names a Message-ID: it costs a look at what was asked for, not one at all that have
// the ID.
func TestAReceiptCostsNoLookAtAllThatHaveItsMessageID(t *testing.T) {
	redis := server.StartRedis(t, "--appendfsync", "no")
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{redis.Addr}, Durability: "relaxed"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	texts, err := post.ReadTexts("")
	if err != nil {
		t.Fatal(err)
	}
	all, _ := policy.ParsePatterns([]string{"*"})
	x := New(store, post.New(store, texts, ""), nil, mark.New([]byte("secret")), &notes{},
		Options{Ask: true, Domains: all, Within: time.Hour})
	id := released(t, store, "anna", "bert@far.test")
	must(t, func() error {
		_, _, err := x.RequestRetraction(t.Context(), id, nil, holdstore.Actor{By: "test"})
		return err
	})
	for n := range 300 {
		sub := holdstore.Submission{MessageID: "<1@corp.test>",
			Sender: holdstore.Path{Address: fmt.Sprintf("s%d@corp.test", n)}, Login: "mallory",
			Recipients: []holdstore.Path{{Address: "bert@far.test"}}}
		must(t, func() error {
			_, err := store.Put(sub, []byte("Subject: x\r\n")).Commit(t.Context(), holdstore.Terms{Grace: time.Hour})
			return err
		})
	}
	redis.Do("CONFIG RESETSTAT")
	receipt := protocol.Receipt{MessageID: "<1@corp.test>", Recipient: "Bert@far.test", Disposition: "failed"}
	must(t, func() error { return x.Receipts(t.Context(), []protocol.Receipt{receipt}) })
	looks := regexp.MustCompile(`cmdstat_hgetall:calls=(\d+)`).FindStringSubmatch(redis.Do("INFO commandstats"))
	if looks == nil || len(looks[1]) > 1 {
		t.Errorf("it took %v looks at holds", looks)
	}
	if h := get(t, store, id); !strings.Contains(fmt.Sprint(h.Timeline), "failed, says a receipt") {
		t.Errorf("it is not noted: %+v", h.Timeline)
	}
}
