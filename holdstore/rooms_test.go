package holdstore

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// Pieces of large messages share memory, one after the other: none may show what another one had, also not when one of
// them is given up.
func TestLargeMessagesAtATimeKeepTheirContent(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	var writers sync.WaitGroup
	for writer := range 4 {
		writers.Go(func() {
			for n := range 3 {
				mark := string(rune('a'+writer)) + string(rune('0'+n))
				noise := rand.New(rand.NewPCG(uint64(writer), uint64(n)))
				body := make([]byte, 2*chunkSize+noise.IntN(2*chunkSize))
				for i := range body {
					body[i] = byte(noise.IntN(256)) | byte(n&1)*0x20 // some can be compressed, some can't
				}
				if err := keepOrGiveUp(s, mark, body, n == 1); err != nil {
					t.Error(mark, err)
				}
			}
		})
	}
	writers.Wait()
}

// keepOrGiveUp holds a message and reads it again, or leaves in the middle of it.
func keepOrGiveUp(s *Store, mark string, body []byte, giveUp bool) error {
	p := s.Put(submission(mark), []byte(header(mark)))
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	for rest := body; len(rest) > 0; {
		some := rest[:min(len(rest), 65535)]
		if err := p.Write(ctx, some); err != nil && !giveUp {
			return err
		}
		if rest = rest[len(some):]; giveUp && len(rest) < len(body)/2 {
			leave()
			p.Abandon()
			return nil
		}
	}
	r, err := p.Commit(ctx, Terms{Rule: "default", Grace: time.Hour})
	if err != nil {
		return err
	}
	h, err := s.Get(ctx, r.ID)
	if err != nil {
		return err
	}
	got, err := io.ReadAll(s.Content(ctx, h))
	if want := append([]byte(header(mark)+"\r\n"), body...); err == nil && !bytes.Equal(got, want) {
		err = io.ErrShortBuffer
	}
	return err
}
