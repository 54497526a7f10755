package milter

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// All sessions together keep so many bytes of messages: header blocks, the bodies of possible commands, and pieces on
// their way to the store. In memory each of them is there several times. A message for which there is no room waits for
// others to end, and is refused when that takes too long: an MTA sends a whole message at once, so nobody can keep the
// room. Mail that comes in has a room of its own: a stranger's recall command keeps its part while the stranger's DNS
// is asked, for seconds.
const (
	underWay   = 44 << 20 // of mail that leaves
	comingIn   = 20 << 20
	smallStep  = 64 << 10 // room is taken in such steps ...
	largeFrom  = 2 << 20  // ... and from here on all that a header can need at once, so that large ones don't wait for each other
	fieldCost  = 64       // bytes that a field costs besides its text
	roomTime   = 30 * time.Second
	putPending = 2 * 256 << 10 // bytes of a body that are on their way to the store at a time
)

var errBusy = errors.New("too much mail is under way at this moment")

// rooms are what sessions share.
type rooms struct {
	once          sync.Once
	leaves, comes *semaphore.Weighted
}

// room is the one for a message.
func (srv *Server) room(m *message) *semaphore.Weighted {
	srv.rooms.once.Do(func() {
		srv.rooms.leaves, srv.rooms.comes = semaphore.NewWeighted(underWay), semaphore.NewWeighted(comingIn)
	})
	if m.arrival != nil {
		return srv.rooms.comes
	}
	return srv.rooms.leaves
}

// hold takes room for so many more bytes of the message; false: there is none.
func (s *session) hold(n int) bool {
	m := &s.msg
	m.needs += int64(n)
	if m.needs <= m.has {
		return true
	}
	want := m.needs - m.has
	want = (want + smallStep - 1) / smallStep * smallStep
	if m.needs > largeFrom && m.has < maxHeader+largeFrom {
		want = max(want, maxHeader+largeFrom-m.has)
	}
	if !s.server.room(m).TryAcquire(want) {
		ctx, cancel := context.WithTimeout(s.ctx, roomTime)
		defer cancel()
		if s.server.room(m).Acquire(ctx, want) != nil {
			return false
		}
	}
	m.has += want
	return true
}

// letGoOf gives the message's room back.
func (m *message) letGoOf(srv *Server) {
	if m.has > 0 {
		srv.room(m).Release(m.has)
		m.has = 0
	}
}
