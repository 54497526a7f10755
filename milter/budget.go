package milter

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// What all sessions together keep of messages is bounded: envelopes, header blocks, the bodies of possible commands,
// and pieces on their way to the store. In memory each of them is there several times.
//
// A message has a place of one size. When it grows beyond that, it waits for a larger place, and gives the smaller one
// back afterwards: messages wait for larger ones only, so they never wait for each other in a circle. A message that
// finds no place in time is refused for now. From the end of the envelope on the MTA has the whole message, so no
// client can keep a place by being slow. Mail that comes in has places of its own: a stranger's recall command keeps
// its place while the stranger's DNS is asked, for seconds.
var sizes = [...]struct {
	bytes         int64
	leaving, come int64 // how many places of that size there are
}{
	{64 << 10, 256, 128},
	{256 << 10, 48, 48},
	{640 << 10, 64, 8}, // a header, and the body pieces that are on their way
	{2 << 20, 8, 6},
	{44 << 20, 1, 1}, // the largest header with the largest envelope
}

const (
	fieldCost     = 64  // bytes that a field costs besides its text
	recipientCost = 128 // the same of a recipient
	roomTime      = 30 * time.Second
	putPending    = 2 * 256 << 10 // bytes of a body that are on their way to the store at a time
)

// Recipients come one at a time, as slowly as their client likes, so nobody waits for their room: where there is none,
// the message has to go in several. One message may have as much as it leaves free.
const (
	envelopesLeaving = 32 << 20
	envelopesComing  = 8 << 20
	smallEnvelope    = 40 << 10 // every message may have this: 100 of the longest addresses (RFC 5321 section 4.5.3.1.8)
)

var errBusy = errors.New("too much mail is under way at this moment")

// rooms are what sessions share.
type rooms struct {
	once          sync.Once
	leaves, comes room
}

// room is for the mail of one direction.
type room struct {
	places    [len(sizes)]*semaphore.Weighted
	envelopes envelopes
}

// room is the one for a message.
func (srv *Server) room(m *message) *room {
	r := &srv.rooms
	r.once.Do(func() {
		for n, size := range sizes {
			r.leaves.places[n], r.comes.places[n] = semaphore.NewWeighted(size.leaving), semaphore.NewWeighted(size.come)
		}
		r.leaves.envelopes.most, r.comes.envelopes.most = envelopesLeaving, envelopesComing
	})
	if m.arrival != nil {
		return &r.comes
	}
	return &r.leaves
}

// hold takes room for so many more bytes of the message; false: there is none.
func (s *session) hold(n int) bool {
	m := &s.msg
	m.needs += int64(n)
	larger := m.place
	for larger == 0 || sizes[larger-1].bytes < m.needs {
		if larger++; larger > len(sizes) {
			return false
		}
	}
	if larger == m.place {
		return true
	}
	places := s.server.room(m).places[larger-1]
	if !places.TryAcquire(1) {
		ctx, cancel := context.WithTimeout(s.ctx, roomTime)
		defer cancel()
		if places.Acquire(ctx, 1) != nil {
			return false
		}
	}
	m.leavePlace(s.server)
	m.place = larger
	return true
}

// leavePlace gives back the place that the message has.
func (m *message) leavePlace(srv *Server) {
	if m.place > 0 {
		srv.room(m).places[m.place-1].Release(1)
		m.place = 0
	}
}

// letGoOf gives all room of the message back.
func (m *message) letGoOf(srv *Server) {
	m.leavePlace(srv)
	srv.room(m).envelopes.giveBack(m.envelopeRoom)
	m.envelopeRoom = 0
}

// enlarge takes room for a recipient in so many bytes of a frame; false: there is none.
func (s *session) enlarge(n int) bool {
	m := &s.msg
	cost := int64(n + recipientCost)
	if m.envelopeCost+cost > smallEnvelope {
		if !s.server.room(m).envelopes.take(m.envelopeRoom, cost) {
			return false
		}
		m.envelopeRoom += cost
	}
	m.envelopeCost += cost
	return true
}

// envelopes is the room for recipients.
type envelopes struct {
	mu         sync.Mutex
	used, most int64
}

// take takes n more bytes for a message that has some, unless it would have more than it leaves free.
func (e *envelopes) take(has, n int64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if free := e.most - e.used - n; has+n > free {
		return false
	}
	e.used += n
	return true
}

func (e *envelopes) giveBack(n int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.used -= n
}
