package holdstore

import (
	"cmp"
	"errors"
	"fmt"
	"testing"
	"time"
)

// takeAll sends as one sender until there is no more room for it, and says how much it took.
func takeAll(t *testing.T, s *Store, login, client, sender string) int64 {
	t.Helper()
	before := usedBy(t, s)
	for n := range 10_000 {
		sub := submission(fmt.Sprint(login, client, n))
		sub.Login, sub.Client.Address, sub.Sender.Address = login, client, sender
		p := s.Put(sub, []byte(header("x")))
		err := p.Write(t.Context(), []byte(incompressible(100_000, uint64(n+1))))
		if err == nil {
			_, err = p.Commit(t.Context(), Terms{Rule: "default", Grace: 24 * time.Hour})
		}
		p.Abandon()
		if err != nil {
			if !errors.Is(err, ErrQuota) {
				t.Fatalf("%s %s %s, message %d: %v", login, client, sender, n, err)
			}
			return usedBy(t, s) - before
		}
	}
	t.Fatal("it is never refused")
	return 0
}

// One of those who share a login or a client uses up a half of its room, and the others have the rest.
func TestOneOfManyBehindAnOwnerLeavesTheOthersRoom(t *testing.T) {
	t.Parallel()
	const most = 48 << 20
	for _, c := range []struct {
		login, sender string
		parts         int64
	}{
		{"", "mallory@corp.test", ownParts}, {"groupware", "mallory@corp.test", 2 * ownParts},
		{"groupware", "groupware@evil.test", 2 * ownParts}, {"groupware@corp.test", "groupware@corp.test", 2 * ownParts},
	} {
		login, parts := c.login, c.parts
		s, _ := cramped(t, fmt.Sprint(most))
		if took := takeAll(t, s, login, "192.0.2.1", c.sender); took > most/parts*3/2 {
			t.Errorf("login %q: %s has %d of %d bytes", login, c.sender, took, most)
		}
		if took := takeAll(t, s, login, "192.0.2.1", "anna@corp.test"); took < most/parts/3 {
			t.Errorf("login %q: another one gets %d bytes", login, took)
		}
	}
}

// Several who take all that they can leave as much room as each of them has, also where all of their parts would be
// more than there is.
func TestManyWhoTakeAllTheyCanLeaveRoom(t *testing.T) {
	t.Parallel()
	const most = 48 << 20
	s, _ := cramped(t, fmt.Sprint(most))
	for n := range 4 {
		for _, sender := range []string{"a@x.test", "b@x.test"} {
			takeAll(t, s, "", fmt.Sprint("192.0.2.", n), sender)
		}
		takeAll(t, s, fmt.Sprint("login", n), "192.0.2.9", "login"+fmt.Sprint(n)+"@x.test")
	}
	for user := range 20 {
		who := fmt.Sprint("user", user)
		if _, err := putAs(t, s, who, "192.0.2.50", who, time.Hour, incompressible(30_000, uint64(user+1))); err != nil {
			t.Errorf("%s: %v, while %d of %d bytes are used", who, err, usedBy(t, s), most)
		}
	}
}

// Messages of one sender that never end take no more of the store than one sender may have.
func TestMessagesThatNeverEndHaveASendersRoomOnly(t *testing.T) {
	t.Parallel()
	const most = 48 << 20
	s, _ := cramped(t, fmt.Sprint(most))
	before := usedBy(t, s)
	var err error
	for n := 0; n < 60 && err == nil; n++ {
		sub := submission(fmt.Sprint("endless", n))
		sub.Login = "mallory"
		p := s.Put(sub, []byte(header("x")))
		defer p.Abandon()
		for piece := 0; piece < 4 && err == nil; piece++ {
			err = p.Write(t.Context(), []byte(incompressible(300_000, uint64(4*n+piece+1))))
		}
		p.work.Wait()
		err = cmp.Or(err, p.err())
	}
	if used := usedBy(t, s) - before; !errors.Is(err, ErrQuota) || used > most/2 { // with what Redis rounds up
		t.Errorf("%d of %d bytes are staged, %v", used, most, err)
	}
}
