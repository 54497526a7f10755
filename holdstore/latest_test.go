package holdstore

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/test/server"
)

// A hold that two index entries of one sender list, or that moves to the next page since more comes in, is one hold.
func TestLatestHasEachHoldOnce(t *testing.T) {
	t.Parallel()
	s := open(t, server.StartRedis(t).Addr)
	sub := submission("first")
	for n := 0; s.entry("s", sub.Login) != s.entry("s", "alice") || sub.Login == "alice"; n++ {
		sub.Login = fmt.Sprint("u", n) // with the number of another name of the sender
	}
	who := Whose{Login: sub.Login, Sender: "alice@corp.test"}
	send := func(n int) {
		sub.MessageID = fmt.Sprintf("<%d@mid.test>", n)
		if _, err := s.Put(sub, []byte(header(fmt.Sprint(n)))).Commit(t.Context(), Terms{Grace: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 3 {
		send(n)
	}
	once(t, s, who, 10, 3)
	for n := range newestPage + 10 {
		send(3 + n)
	}
	more := &arriving{arrive: func() { send(-1) }}
	s.nodes.Client.AddHook(more)
	once(t, s, who, 2*newestPage, newestPage+13)
}

// once asks for the latest holds, of which there are so many.
func once(t *testing.T, s *Store, who Whose, n, want int) {
	t.Helper()
	all, err := s.Latest(t.Context(), who, n, nil)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, h := range all {
		ids = append(ids, h.ID)
	}
	slices.Sort(ids)
	if unique := len(slices.Compact(slices.Clone(ids))); len(ids) != want || unique != want {
		t.Errorf("%d holds, of which %d differ, want %d", len(ids), unique, want)
	}
}

// arriving is a message that comes in between two pages.
type arriving struct {
	passing
	arrive func()
}

func (a *arriving) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		if arrive := a.arrive; arrive != nil && cmds[0].Name() == "sscan" {
			a.arrive = nil
			arrive()
		}
		return err
	}
}
