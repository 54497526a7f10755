package holdstore

import (
	"fmt"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// The sender of a message is told of some lines of its timeline, in a genuine mail. With a seal key these prove
// themselves, so that nobody who writes to Redis has a word in it.
func TestOnlyNewsOfAGatewayAreToldToTheSender(t *testing.T) {
	t.Parallel()
	for _, sealed := range []bool{false, true} {
		addr := server.StartRedis(t).Addr
		s := open(t, addr)
		if sealed {
			s = openSealed(t, addr, key(1))
		}
		id, other := put(t, s, "one", time.Hour, "").ID, put(t, s, "two", time.Hour, "").ID
		e := Event{Verb: "passed on", By: "carl@far.test", Detail: "taken out \"unread\" \u2028"}
		for _, id := range []string{id, other} {
			if err := s.News(t.Context(), id, e); err != nil {
				t.Fatal(err)
			}
		}
		h, err := s.Get(t.Context(), id)
		if err != nil || !h.Timeline[1].News || h.Timeline[1].Detail != e.Detail || h.Timeline[1].By != e.By {
			t.Fatalf("%+v, %v", h, err)
		}
		if !sealed {
			continue
		}
		name := holdKey(s.nodes.Of(id), id)
		tl := s.nodes.Client.HGet(t.Context(), holdKey(s.nodes.Of(other), other), "tl").Val()
		for _, forged := range []string{
			tl, // another message's
			fmt.Sprintf("1 {%q:%q,%q:%q}\n", "verb", "passed on", "detail", "call me"),
			fmt.Sprintf("1 {%q:%q,%q:%q,%q:%q}\n", "verb", "passed on", "detail", "call me", "k", unsealedNews),
			fmt.Sprintf("1 {%q:%q,%q:%q,%q:true,%q:true}\n", "verb", "passed on", "detail", "call me", "News", "news"),
		} {
			if err := s.nodes.Client.HSet(t.Context(), name, "tl", forged).Err(); err != nil {
				t.Fatal(err)
			}
			h, err := s.Get(t.Context(), id)
			if err != nil || len(h.Timeline) != 2 || h.Timeline[1].News {
				t.Errorf("%s: %+v, %v", forged, h, err)
			}
		}
	}
}
