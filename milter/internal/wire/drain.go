package wire

import (
	"io"
	"time"
)

const (
	// DrainTime is how long a message that is under way may take once the daemon ends. What is cut then is deferred by
	// the MTA, or finds its hold again when the client tries again.
	DrainTime = 30 * time.Second
	// ProvenIn is how long a draining session waits for the frame that proves that the MTA has read DISCARD.
	ProvenIn = 2 * time.Second
)

// drain lets a message that is under way finish, and ends an idle session at once. A message that takes longer than
// DrainTime is cut.
func (c *Conn) drain(cut func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.draining = true
	c.cut = time.AfterFunc(DrainTime, cut)
	if !c.busy {
		c.SetReadDeadline(c.patience())
	}
}

// endDrain is called when the session has ended.
func (c *Conn) endDrain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut != nil {
		c.cut.Stop()
	}
	c.ended = true
}

// arm sets the time to wait for the next frame; io.EOF: the session ends here, between two messages.
func (c *Conn) arm() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining && !c.busy && !c.unproven {
		return io.EOF
	}
	return c.SetReadDeadline(c.patience())
}

func (c *Conn) patience() time.Time {
	switch now := time.Now(); {
	case !c.draining || c.busy:
		return now.Add(IdleTime)
	case c.unproven:
		return now.Add(ProvenIn) // else a second message with this content would be taken for a retry for hours
	default:
		return now
	}
}

// state notes whether a message is under way, and whether a DISCARD waits for its proof.
func (c *Conn) state(busy, unproven bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy, c.unproven = busy, unproven
}
