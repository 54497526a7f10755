package web

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/maillog"
	"github.com/recall-milter/recall-milter/internal/mark"
)

// slowStore does an action to a batch of two holds at a time, as long as it may.
type slowStore struct {
	Store
	began func()
}

func (s *slowStore) Recalling() holdstore.Action { return holdstore.Action{} }

func (s *slowStore) GetSome(_ context.Context, ids []string) (all []*holdstore.Hold, err error) {
	for _, id := range ids {
		all = append(all, &holdstore.Hold{ID: id})
	}
	return all, nil
}

func (s *slowStore) Bulk(ctx context.Context, _ holdstore.Action, ids []string, _ holdstore.Actor,
	told func([]holdstore.Acted)) error {
	s.began()
	told([]holdstore.Acted{{ID: ids[0]}, {ID: ids[1], Err: holdstore.ErrTooLate}})
	<-ctx.Done()
	return ctx.Err()
}

// Whether its time is over or the server stops: an act on many ends, and says how far it came.
func TestAnActOnManySaysHowFarItCame(t *testing.T) {
	for what, stop := range map[string]bool{"the server stops": true, "its time is over": false} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		manyTime = time.Hour
		store := &slowStore{began: func() {}}
		if stop {
			store.began = cancel
		} else {
			manyTime = time.Millisecond
		}
		r := httptest.NewRequestWithContext(context.WithValue(t.Context(), stopKey{}, ctx), "POST", "/", nil)
		m := &many{verb: "recall", ids: []string{"a", "b", "c", "d", "e"}}
		(&Server{store: store, log: maillog.Silent()}).carryOut(r, &caller{}, m)
		if got := m.String(); got != "recall 1 1 0 0 0 3" {
			t.Errorf("%s: %s", what, got)
		}
	}
	if manyTime = 40 * time.Second; manyTime+10*time.Second > time.Minute {
		t.Error("a reverse proxy gives up before it is answered")
	}
}

// An act that is under way when the server stops is finished and answered.
func TestAServerThatStopsAnswersWhatHasBegun(t *testing.T) {
	t.Parallel()
	texts, err := ReadTexts("", "en")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	store := &countingStore{count: func(asked context.Context) error {
		stop()
		<-stopping(asked).Done()
		return asked.Err()
	}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(store, nil, nil, mark.New([]byte("s")), texts, maillog.Silent(), Options{LinkMail: true})
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx, l, nil) }()
	answer, err := http.DefaultTransport.RoundTrip(httptest.NewRequestWithContext(t.Context(), "POST",
		"http://"+l.Addr().String()+"/sign-in", strings.NewReader("address=a@corp.test")))
	if err != nil || answer.StatusCode != http.StatusSeeOther {
		t.Errorf("the answer: %v %v", answer, err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the server ends with %v", err)
	}
}

// countingStore has a test look at the context of a request.
type countingStore struct {
	Store
	count func(context.Context) error
}

func (s *countingStore) Count(ctx context.Context, _ time.Duration, all ...holdstore.Tally) ([]int, error) {
	return make([]int, len(all)), s.count(ctx)
}

// However many messages match, no more than their places are kept, each once, the newest first.
func TestOfManyMessagesThePlacesAreKept(t *testing.T) {
	t.Parallel()
	n := &newestPlaces{most: 3}
	at := time.UnixMilli(1000)
	for i := range 1000 {
		n.add(place{at.Add(time.Duration(i%10) * time.Second), fmt.Sprint(i % 10)})
		if len(n.all) > 6 {
			t.Fatalf("%d places are kept", len(n.all))
		}
	}
	if got := n.sorted(); len(got) != 3 || got[0].id != "9" || got[2].id != "7" {
		t.Errorf("%v", got)
	}
}
