package milter

import (
	"io"
	"time"
)

// drain lets a message that is under way finish, and ends an idle session at once. A message that takes longer than
// drainTime is cut.
func (c *conn) drain(cut func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.draining = true
	c.cut = time.AfterFunc(drainTime, cut)
	if !c.busy {
		c.SetReadDeadline(c.patience())
	}
}

// endDrain is called when the session has ended.
func (c *conn) endDrain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut != nil {
		c.cut.Stop()
	}
	c.ended = true
}

// arm sets the time to wait for the next frame; io.EOF: the session ends here, between two messages.
func (c *conn) arm() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining && !c.busy && !c.unproven {
		return io.EOF
	}
	return c.SetReadDeadline(c.patience())
}

func (c *conn) patience() time.Time {
	switch now := time.Now(); {
	case !c.draining || c.busy:
		return now.Add(idleTime)
	case c.unproven:
		return now.Add(provenIn) // else a second message with this content would be taken for a retry for hours
	default:
		return now
	}
}

// state notes whether a message is under way, and whether a DISCARD waits for its proof.
func (c *conn) state(busy, unproven bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy, c.unproven = busy, unproven
}
