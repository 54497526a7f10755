package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/recall-milter/recall-milter/holdstore"
)

// Whoever reads large records waits while others' answers with such are made, and no longer: a slow reader keeps nobody
// waiting.
func TestLargeListsTakeTurnsUntilTheirAnswersBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom()
		read, slow, done := make(chan string), make(chan struct{}), make(chan struct{})
		ask := func(name string, bytes int64, then func(w http.ResponseWriter)) {
			r.staying(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				for range 2 { // a second look goes on with the room of the first
					if err := r.enter(q.Context(), name, bytes); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
				read <- name
				then(w)
			})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
			done <- struct{}{}
		}
		go ask("first", 4*roomBytes, func(w http.ResponseWriter) {
			<-slow
			w.Write([]byte("begins"))
			<-slow
		})
		if got := <-read; got != "first" {
			t.Fatal(got)
		}
		go ask("first", roomBytes, func(http.ResponseWriter) {}) // waits for its own turn, behind nobody's way
		synctest.Wait()
		go ask("second", roomBytes, func(http.ResponseWriter) {})
		go ask("small", smallBytes-1, func(http.ResponseWriter) {})
		synctest.Wait()
		if got := <-read; got != "small" {
			t.Fatalf("%s got room that the first has", got)
		}
		<-done
		slow <- struct{}{}
		if got := <-read; got != "second" {
			t.Fatal(got)
		}
		<-done
		if got := <-read; got != "first" {
			t.Fatal(got)
		}
		<-done
		slow <- struct{}{}
		<-done
		if len(r.turns.of) > 0 {
			t.Error("a turn is kept")
		}
		if !r.TryAcquire(roomBytes) {
			t.Error("some room is lost")
		}
	})
}

func TestAFingerprintCostsAsMuchAsItIsLong(t *testing.T) {
	h := &holdstore.Hold{State: holdstore.Held, Results: make([]holdstore.Result, 20_000)}
	if n := testing.AllocsPerRun(1, func() { fingerprint(h) }); n > 100 {
		t.Errorf("it takes %.0f allocations", n)
	}
}

// A sender has a link for each message: streams count by the sender.
func TestTheLinksOfOneSenderShareTheirStreams(t *testing.T) {
	t.Parallel()
	s, h := &Server{streams: shares{each: streamsPer}}, &holdstore.Hold{}
	h.Sender.Address = "Anna@corp.test"
	for n := range streamsPer + 1 {
		c := &caller{name: "the link of " + string(rune('a'+n))}
		c.Hold = c.name
		_, err := s.stream(c, s.listener(c, h), nil,
			func(context.Context, *caller) ([]*holdstore.Hold, error) { return nil, nil })
		if (err != nil) != (n == streamsPer) {
			t.Errorf("stream %d: %v", n+1, err)
		}
	}
}
