package recall

import (
	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
)

// Mail is a message that leaves, as far as commands are concerned.
type Mail struct {
	holdstore.Submission
	mailmsg.Message      // Body has at most MaxBody
	Holds           bool // the policy holds it

	replaced []*holdstore.Hold // what the commit of this mail takes back
}
