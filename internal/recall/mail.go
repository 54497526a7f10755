package recall

import (
	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
)

// Bounds of what is kept of a body, in bytes.
const (
	MaxBody = 1 << 20 // of what is a command, or says that it is one
	// Of a mail that nothing but a winmail.dat in it would make a recall, as in most that Exchange sends. Outlook's
	// recalls have less than 50 KB; what is larger is ordinary mail.
	MaxHidden = 128 << 10
)

// Mail is a message that leaves, as far as commands are concerned.
type Mail struct {
	holdstore.Submission
	mailmsg.Message      // Body has at most MaxBody
	Holds           bool // the policy holds it

	replaced []*holdstore.Hold // what the commit of this mail takes back
}
