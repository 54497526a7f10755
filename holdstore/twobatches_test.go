package holdstore

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// Two full batches of one sender are on their way at the same time, with more than the sender has room for. Each
// message has its own outcome, no byte is held beyond the room, and a message that is in both batches is held once.
func TestTwoBatchesOnTheirWayKeepTheRoomOfASender(t *testing.T) {
	t.Parallel()
	const (
		most = 48 << 20            // what Redis may have
		room = most / ownParts / 2 // what one sender may have
		size = 30_000              // with so many bytes, batchMost messages are less than batchBytes
	)
	srv := server.StartRedis(t, "--appendfsync", "no", "--maxmemory", fmt.Sprint(most))
	line, first, rest := server.StartProxy(t), make(chan struct{}), make(chan struct{})
	line.To(srv.Addr)
	var armed atomic.Bool
	var sent atomic.Int32
	var mu sync.Mutex
	ends := map[int][]byte{} // of what each connection has sent: a script's name can be cut between two pieces
	script := []byte(commitScript.Hash())
	commits := func(conn int, piece []byte) bool {
		mu.Lock()
		defer mu.Unlock()
		text := slices.Concat(ends[conn], piece)
		at := bytes.LastIndex(text, script)
		ends[conn] = text[max(at+1, len(text)-len(script)+1):]
		return at >= 0
	}
	line.Watched(func(conn int, toServer bool, piece []byte) bool {
		if toServer && armed.Load() && commits(conn, piece) {
			if sent.Add(1) == 1 {
				<-first
			} else {
				<-rest
			}
		}
		return true
	})
	s, err := Open(Options{Addresses: []string{line.Addr}, Durability: "relaxed"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	at := s.nodes.Shards[0]
	submit := func(mark, bytes int) (Committed, error) {
		sub := submission(fmt.Sprint(mark))
		sub.Login, sub.Sender.Address = "mallory", "mallory@corp.test"
		p := s.Put(sub, []byte(header("x")))
		defer p.Abandon()
		if err := p.Write(t.Context(), []byte(incompressible(bytes, uint64(mark+1)))); err != nil {
			return Committed{}, err
		}
		return p.Commit(t.Context(), Terms{Rule: "default", Grace: time.Hour})
	}
	has := func() int64 {
		sub := Submission{Login: "mallory", Sender: Path{Address: "mallory@corp.test"}}
		return parseCharges(s.nodes.Client.HGet(t.Context(), ownKey(at), ownerOf(&sub, Terms{})).Val()).b
	}
	for n := 1000; has() < room-batchMost*size*5/4; n++ {
		if _, err := submit(n, 4*size); err != nil {
			t.Fatal(err)
		}
	}
	armed.Store(true)
	type outcome struct {
		Committed
		err error
	}
	outcomes := make([]outcome, 1+2*batchMost)
	var callers sync.WaitGroup
	send := func(from, to int) {
		for n := from; n < to; n++ {
			callers.Go(func() {
				mark := n
				if n == len(outcomes)-1 {
					mark = 1 // once more
				}
				outcomes[n].Committed, outcomes[n].err = submit(mark, size)
			})
		}
	}
	send(0, 1)
	server.Eventually(t, "the first batch is on its way", func() bool { return sent.Load() == 1 })
	send(1, 1+batchMost)
	server.Eventually(t, "a second one is", func() bool { return sent.Load() == 2 })
	send(1+batchMost, len(outcomes))
	server.Eventually(t, "the others wait", func() bool { return s.commits[at].length() == batchMost })
	close(first)
	server.Eventually(t, "two full ones are", func() bool { return sent.Load() == 3 })
	close(rest)
	callers.Wait()
	refused := 0
	for n, o := range outcomes {
		switch h, err := s.Get(t.Context(), o.ID); {
		case errors.Is(o.err, ErrQuota):
			refused++
			id := fmt.Sprintf("<%d@Mid.test>", n)
			if holds, err := s.Resolve(t.Context(), id); err != nil || len(holds) > 0 {
				t.Errorf("%s was refused, and is held: %v, %v", id, holds, err)
			}
		case o.err != nil || err != nil:
			t.Errorf("message %d: %v, %v", n, o.err, err)
		case n < len(outcomes)-1 && h.MessageID != fmt.Sprintf("<%d@Mid.test>", n):
			t.Errorf("message %d has the ID of %s", n, h.MessageID)
		}
	}
	one, again := outcomes[1], outcomes[len(outcomes)-1]
	if one.ID == "" || one.ID != again.ID || one.Found == again.Found {
		t.Errorf("the same message in both batches: %+v, %+v", one, again)
	}
	if left := room - has(); left < 0 || left > size+5000 || refused == 0 {
		t.Errorf("%d of %d bytes are left, and %d messages were refused", left, room, refused)
	}
	if f := faults(t, s, false); len(f) > 0 {
		t.Errorf("faults: %+v", f)
	}
}
