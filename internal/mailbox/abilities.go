package mailbox

import (
	"strings"

	"github.com/emersion/go-imap/v2"
)

// Abilities is what can be done with one message of a mailbox, without touching others.
type Abilities struct {
	Delete  bool // it can be deleted for good
	Archive bool // in place of that, the server has a trash where its user finds it for a while
	Move    bool // it can be moved to another folder, and back
	Watch   bool // only if it is still unread when it is taken
}

// abilities are those of an open mailbox.
func (o *box) abilities() Abilities {
	return Abilities{Delete: o.canExpunge() && !o.archives(), Archive: o.archives(), Move: o.canMove(),
		Watch: o.knowsChanges()}
}

// canMove says whether one message can be moved: by MOVE (RFC 6851), or as a copy and a removal.
func (o *box) canMove() bool {
	return o.caps.Has(imap.CapMove) || o.caps.Has(imap.CapIMAP4rev2) || o.canExpunge()
}

// lacks says what a policy asks for, and the server of an open mailbox can't do; nil: nothing.
func (p Policy) lacks(o *box) error {
	for _, act := range []string{p.Unread, p.Read} {
		switch {
		case strings.HasPrefix(act, "move:") && !o.canMove():
			return ErrNoMove
		case (act == "delete" || act == "replace") && !o.canExpunge() && !o.archives():
			return ErrNoExpunge
		}
	}
	return nil
}
