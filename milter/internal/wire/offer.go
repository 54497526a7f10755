package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	gomilter "github.com/emersion/go-milter"
)

// NewestVersion is the newest version of the milter protocol; libmilter's own number.
const NewestVersion = 6

// offer is what the MTA can do, and after the answer, what of it both sides want.
type offer struct {
	version  uint32
	actions  gomilter.OptAction
	protocol gomilter.OptProtocol
}

// inOrder refuses a frame that no milter client sends, a second negotiation, and what comes before the first.
func (o *offer) inOrder(code byte) error {
	switch negotiated := o.version != 0; {
	case negotiated == (code == 'O'):
		return fmt.Errorf("milter command %q before or after the negotiation", code)
	case strings.IndexByte("OCHMRTLNBEAQKDU", code) < 0:
		return fmt.Errorf("unknown milter command %q", code)
	}
	return nil
}

// read takes the data of the MTA's O frame: version, actions and protocol flags.
func (o *offer) read(data []byte) error {
	if len(data) < 12 {
		return errors.New("the MTA's negotiation is too short: is this a milter client?")
	}
	if o.version = binary.BigEndian.Uint32(data); o.version < 2 {
		return errors.New("the MTA speaks a milter protocol older than version 2")
	}
	o.actions = gomilter.OptAction(binary.BigEndian.Uint32(data[4:]))
	o.protocol = gomilter.OptProtocol(binary.BigEndian.Uint32(data[8:]))
	if o.protocol&gomilter.OptHeaderLeadingSpace == 0 {
		return errors.New("the MTA does not offer SMFIP_HDR_LEADSPC, without which headers could not be kept byte for " +
			"byte: " +
			"set milter_protocol = 6")
	}
	return nil
}

// answer corrects go-milter's reply frame, which ignores the offer, and says version 2, in which the flags that it
// wants don't exist. A list of macros goes only to an MTA that takes one.
func (o *offer) answer(reply []byte) []byte {
	out := append([]byte(nil), reply...)
	o.actions &= gomilter.OptAction(binary.BigEndian.Uint32(out[9:]))
	o.protocol &= gomilter.OptProtocol(binary.BigEndian.Uint32(out[13:]))
	binary.BigEndian.PutUint32(out[5:], min(o.version, NewestVersion))
	binary.BigEndian.PutUint32(out[9:], uint32(o.actions))
	binary.BigEndian.PutUint32(out[13:], uint32(o.protocol))
	if o.actions&gomilter.OptSetSymList == 0 {
		out = out[:17]
		binary.BigEndian.PutUint32(out, 13)
	}
	return out
}

// noReply are the frames after which an MTA need not wait for a reply, if it can do without: it then sends several in
// one write. It waits after each recipient, who may be one too many, and at the end of headers and body.
var noReply = map[byte]gomilter.OptProtocol{'C': gomilter.OptNoConnReply, 'H': gomilter.OptNoHeloReply,
	'M': gomilter.OptNoMailReply, 'L': gomilter.OptNoHeaderReply, 'B': gomilter.OptNoBodyReply}

// quiet says whether the MTA waits for no reply to a frame.
func (o *offer) quiet(code byte) bool { return o.protocol&noReply[code] != 0 }
