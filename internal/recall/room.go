package recall

import (
	"context"
	"slices"
)

// A command reads the whole records of what it means, and its answer names each recipient. A record of 50,000
// recipients has megabytes, and takes many times as much memory, so few such commands are done at a time; others never
// wait for them.
const (
	roomBytes  = 4 << 20  // of the records that all commands have read
	smallBytes = 64 << 10 // a command for less takes no room

	originalsMost = 200_000 // recipients of the messages that a recall without a Message-ID chooses from
)

// enter waits until there is room for the records that a command reads: those that refs name, or so many of the
// submitter's newest. leave must be called when the command is answered.
func (d *Desk) enter(ctx context.Context, m *Mail, refs []string, newest int) (leave func(), err error) {
	login, sender := d.submitted(m)
	if len(refs) > 0 {
		newest = 0
	}
	refs = slices.Clone(refs[:min(len(refs), maxRefs)])
	for n, ref := range refs {
		if about, ours := aboutHold(ref); ours {
			refs[n] = about
		}
	}
	bytes, err := d.store.Weight(ctx, refs, login, sender, newest)
	if err != nil || bytes < smallBytes {
		return func() {}, err
	}
	bytes = min(bytes, roomBytes)
	if err := d.room.Acquire(ctx, bytes); err != nil {
		return nil, err
	}
	return func() { d.room.Release(bytes) }, nil
}

// submitted says by which login or envelope sender the submitter's own messages are found.
func (d *Desk) submitted(m *Mail) (login, sender string) {
	if d.personal(m.Login, m.Sender.Address) {
		return m.Login, ""
	}
	return m.Login, m.Sender.Address
}
