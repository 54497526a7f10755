package web

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

// gone is a client that goes away when a stream begins to write, which it does at once.
type gone struct {
	*httptest.ResponseRecorder
	leave    context.CancelFunc
	streamed bool
}

func (g *gone) SetWriteDeadline(time.Time) error {
	g.streamed = true
	g.leave()
	return nil
}

// Whatever looks at the address of a stream by HEAD gets its header and nothing else, and leaves the stream's place.
func TestAHeadOfAStreamIsNoStream(t *testing.T) {
	t.Parallel()
	s := &Server{streams: shares{each: 1}}
	for method, streams := range map[string]bool{http.MethodHead: false, http.MethodGet: true} {
		to, err := s.stream(&caller{}, "anna", nil,
			func(context.Context, *caller) ([]*holdstore.Hold, error) { return nil, nil })
		if err != nil {
			t.Fatal(method, err)
		}
		ctx, leave := context.WithCancel(t.Context())
		w := &gone{httptest.NewRecorder(), leave, false}
		to.ServeHTTP(w, httptest.NewRequestWithContext(ctx, method, "/api/v1/events", nil))
		leave()
		if w.streamed != streams || w.Code != 200 || w.Header().Get("Content-Type") != "text/event-stream" {
			t.Errorf("%s: %d, streams %v, %v", method, w.Code, w.streamed, w.Header())
		}
	}
}

// A message may leave between the page that shows it waiting and the page's stream of events.
func TestAStreamTellsWhatChangedAfterThePage(t *testing.T) {
	t.Parallel()
	shown, now := &holdstore.Hold{ID: "a", State: holdstore.Held}, &holdstore.Hold{ID: "a", State: holdstore.Released}
	to, err := (&Server{streams: shares{each: 1}}).stream(&caller{}, "anna", map[string]string{"a": fingerprint(shown)},
		func(context.Context, *caller) ([]*holdstore.Hold, error) { return []*holdstore.Hold{now}, nil })
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(to)
	defer srv.Close()
	defer srv.CloseClientConnections()
	answer, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "event: hold") {
		if strings.HasPrefix(lines.Text(), ": still here") {
			t.Fatal("nothing is told of a message that has left meanwhile")
		}
	}
}
