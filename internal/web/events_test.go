package web

import (
	"bufio"
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/holdstore"
)

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
