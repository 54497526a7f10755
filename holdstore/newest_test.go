package holdstore

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

func TestTheNewestOfASenderComeFirst(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	for _, mark := range []string{"1", "2", "3"} {
		nextMillisecond(t, put(t, s, mark, time.Hour, ""))
	}
	holds, err := s.Latest(t.Context(), Whose{Login: "alice"}, 2, nil)
	if err != nil || len(holds) != 2 || holds[0].QueueID != "Q3" || holds[1].QueueID != "Q2" {
		t.Errorf("%+v, %v", holds, err)
	}
	who := Whose{Login: "ALICE", Sender: "alice@CORP.test"}
	if holds, err = s.Latest(t.Context(), who, 9, nil); err != nil || len(holds) != 3 {
		t.Errorf("by sender: %+v, %v", holds, err)
	}
}

// What lies behind the bound is not looked at, and the caller hears of it.
func TestASearchForTheNewestStopsAtItsBound(t *testing.T) {
	defer func(most int) { latestMost = most }(latestMost)
	s := open(t, server.StartRedis(t).Addr)
	old := put(t, s, "old", time.Hour, "")
	nextMillisecond(t, old)
	for n := range 2 * newestPage {
		put(t, s, fmt.Sprint(n), time.Hour, "")
	}
	wanted := func(h *Hold) bool { return h.ID == old.ID }
	for most, want := range map[int]int{newestPage: 0, 2*newestPage + 100: 1} {
		latestMost = most
		holds, err := s.Latest(t.Context(), Whose{Login: "alice"}, 1, wanted)
		if len(holds) != want || errors.Is(err, ErrMany) != (want == 0) {
			t.Errorf("of the newest %d: %d holds, %v, want %d", most, len(holds), err, want)
		}
	}
}

// However many messages others put into the index in which somebody's own are found, by typing their address or by
// choosing a name that has the same number, the own ones are found, and cost no more than they did.
func TestNobodyHidesAnothersNewest(t *testing.T) {
	defer func(most int) { latestMost = most }(latestMost)
	s := open(t, server.StartRedis(t).Addr)
	own := map[string]Whose{"login": {Login: "alice"}, "login and sender": {Login: "shared", Sender: "anna@corp.test"},
		"client and sender": {Sender: "bert@corp.test", Client: "192.0.2.7"}}
	same := map[string]string{}
	for n := 0; len(same) < len(own); n++ { // names that share an index entry with theirs
		for name, who := range own {
			mallory := fmt.Sprintf("mallory%d", n)
			if same[name] == "" && s.entry("s", mallory) == who.entries(s)[0] {
				same[name] = mallory
			}
		}
	}
	for _, who := range own {
		nextMillisecond(t, sentBy(t, s, who, "own"))
	}
	for n := range 180 { // more than a page of the index
		for name, who := range own {
			sentBy(t, s, Whose{Login: same[name], Sender: "mallory@corp.test"}, fmt.Sprint(name, n))
			sentBy(t, s, Whose{Sender: who.Sender, Client: "198.51.100.9"}, fmt.Sprint("typed", name, n))
			sentBy(t, s, Whose{Login: "mallory", Sender: who.Sender}, fmt.Sprint("typed by a login", name, n))
		}
	}
	latestMost = 100
	for name, who := range own {
		holds, err := s.Latest(t.Context(), who, 2, nil)
		if err != nil || len(holds) != 1 || holds[0].QueueID != "own" {
			t.Errorf("%s: %d holds, %v", name, len(holds), err)
		}
		if bytes, err := s.RecordBytes(t.Context(), nil, who, 2); err != nil || bytes == 0 || bytes > 4000 {
			t.Errorf("%s: the newest weigh %d bytes, %v", name, bytes, err)
		}
	}
}

// sentBy holds a message of somebody.
func sentBy(t *testing.T, s *Store, who Whose, queueID string) Committed {
	t.Helper()
	sub := Submission{QueueID: queueID, Login: who.Login, Sender: Path{Address: who.Sender},
		Client: Client{Address: who.Client}, Recipients: []Path{{Address: "b@x.test"}}}
	head := []byte("Subject: " + queueID + "\r\n") // else it would be a retry of the one before
	r, err := s.Put(sub, head).Commit(t.Context(), Terms{Rule: "default", Grace: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
