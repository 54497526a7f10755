package holdstore

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// sendNow sends commits as one batch.
func sendNow(t *testing.T, s *Store, all ...*commit) {
	t.Helper()
	at := s.nodes.Shards[0]
	if err := s.sendBatch(at, all, nil); err != nil {
		t.Fatal(err)
	}
}

// begun is a message that is ready for its commit.
func begun(t *testing.T, s *Store, name string) (*Put, *commit) {
	t.Helper()
	p := s.Put(submission(name), []byte("Subject: "+name+"\r\n"))
	if err := p.s.nodes.Admit(t.Context(), p.at); err != nil {
		t.Fatal(err)
	}
	p.print = name + name
	return p, p.commit(Terms{Grace: time.Hour}, true)
}

func sound(t *testing.T, s *Store, held int) {
	t.Helper()
	if f := faults(t, s, false); len(f) > 0 {
		t.Errorf("faults: %+v", f)
	}
	if st, err := s.Stats(t.Context()); err != nil || st.Count[Held] != held {
		t.Errorf("%+v %v", st, err)
	}
	if names := s.nodes.Client.Keys(t.Context(), "*:b:*").Val(); len(names) != held {
		t.Errorf("pieces of %d holds: %q", held, names)
	}
}

// An ID that another gateway's hold has: that one stays as it is, and the others of the batch are held.
func TestATakenIDChangesNothingOfItsHold(t *testing.T) {
	t.Parallel()
	s := open(t, server.StartRedis(t).Addr)
	first := put(t, s, "first", time.Minute, "body")
	before := picture(t, s)
	p, _ := begun(t, s, "second")
	p.id = first.ID
	c := p.commit(Terms{Grace: time.Hour}, true)
	sendNow(t, s, c)
	if c.row != "taken" {
		t.Fatalf("%v", c.row)
	}
	for name, value := range picture(t, s) {
		if before[name] != value {
			t.Errorf("%s was %s, and is %s", name, before[name], value)
		}
	}
	_, other := begun(t, s, "other")
	sendNow(t, s, p.commit(Terms{Grace: time.Hour}, true), other)
	if other.row != int64(1) {
		t.Errorf("the other one of the batch: %v", other.row)
	}
	if h, err := s.Get(t.Context(), first.ID); err != nil || h.MessageID != "<first@Mid.test>" {
		t.Errorf("%+v %v", h, err)
	}
	sound(t, s, 2)
}

// A commit that comes after its fence, with others, makes nothing.
func TestALateCommitMakesNothing(t *testing.T) {
	t.Parallel()
	s := open(t, server.StartRedis(t).Addr)
	late, lateCommit := begun(t, s, "late")
	if _, err := late.fence(errors.New("no reply")); !errors.Is(err, ErrUnknown) {
		t.Fatal(err)
	}
	_, other := begun(t, s, "other")
	sendNow(t, s, lateCommit, other)
	if lateCommit.row != "fenced" || other.row != int64(1) {
		t.Errorf("%v %v", lateCommit.row, other.row)
	}
	sound(t, s, 1)
}

// Of a script that fails nobody knows what it did; the fence takes it away, and counts nothing.
func TestACommitThatFailsIsFenced(t *testing.T) {
	t.Parallel()
	srv := server.StartRedis(t)
	s := open(t, srv.Addr)
	put(t, s, "sound", time.Hour, "")
	srv.Do("ACL SETUSER default resetchannels") // the script ends where it would publish
	if _, err := tryPut(s, "half", time.Minute, "body"); !errors.Is(err, ErrUnknown) {
		t.Errorf("%v", err)
	}
	srv.Do("ACL SETUSER default allchannels")
	sound(t, s, 1)
}

// The same commit twice in one batch makes one hold, whose content stays.
func TestACommitThatIsTwiceInABatch(t *testing.T) {
	t.Parallel()
	s := open(t, server.StartRedis(t).Addr)
	p, c := begun(t, s, "m")
	again := *c
	sendNow(t, s, c, &again)
	if row, ok := again.row.([]any); c.row != int64(1) || !ok || row[0] != p.id {
		t.Errorf("%v, then %v", c.row, again.row)
	}
	if _, err := read(t, s, p.id); err != nil {
		t.Error(err)
	}
	sound(t, s, 1)
}

// A login that may not begin a transaction makes holds without one.
func TestACommitWithoutATransaction(t *testing.T) {
	t.Parallel()
	srv := server.StartRedis(t)
	s := open(t, srv.Addr)
	srv.Do("ACL SETUSER default -multi")
	h := put(t, s, "m", time.Hour, "body")
	srv.Do("SCRIPT FLUSH")
	put(t, s, "n", time.Hour, "body")
	if text, err := read(t, s, h.ID); err != nil || !strings.HasSuffix(text, "body") {
		t.Errorf("%q %v", text, err)
	}
	srv.Do("ACL SETUSER default -set")
	if c, err := tryPut(s, "refused", time.Hour, "body"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("held as %s without its content, %v", c.ID, err)
	}
	srv.Do("ACL SETUSER default +set +multi") // fsck needs transactions
	put(t, s, "refused", time.Hour, "body")
	sound(t, s, 3)
}

// Of a batch whose contents were not all set, only those messages are held that have theirs.
func TestACommitOfWhichContentIsMissing(t *testing.T) {
	t.Parallel()
	s := open(t, server.StartRedis(t).Addr)
	_, first := begun(t, s, "first")
	_, second := begun(t, s, "second")
	first.piece = string(s.nodes.Shards[0]) + "elsewhere"
	if err := s.sendBatch(s.nodes.Shards[0], []*commit{first, second}, nil); err != nil {
		t.Fatal(err)
	}
	if first.row != "missing" || second.row != int64(1) {
		t.Errorf("rows %v and %v", first.row, second.row)
	}
	s.nodes.Client.Del(t.Context(), first.piece)
	sound(t, s, 1)
}

// A Redis that forgot the script gets it with the next commit, in a transaction as well.
func TestACommitAfterTheScriptWasForgotten(t *testing.T) {
	t.Parallel()
	srv := server.StartRedis(t)
	s := open(t, srv.Addr)
	put(t, s, "m", time.Hour, "body")
	srv.Do("SCRIPT FLUSH")
	h := put(t, s, "n", time.Hour, "body")
	if text, err := read(t, s, h.ID); err != nil || !strings.HasSuffix(text, "body") {
		t.Errorf("%q %v", text, err)
	}
	sound(t, s, 2)
}

// A commit that is done twice makes one hold, whose content stays.
func TestACommitThatIsSentTwice(t *testing.T) {
	t.Parallel()
	s := open(t, server.StartRedis(t).Addr)
	p, c := begun(t, s, "m")
	for range 2 {
		sendNow(t, s, c)
	}
	if row, ok := c.row.([]any); !ok || row[0] != p.id {
		t.Errorf("the second time: %v", c.row)
	}
	if _, err := read(t, s, p.id); err != nil {
		t.Error(err)
	}
	sound(t, s, 1)
}
