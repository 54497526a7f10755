package milter

import (
	"encoding/binary"
	"errors"

	gomilter "github.com/emersion/go-milter"
)

// newestVersion is the newest version of the milter protocol; libmilter's own number.
const newestVersion = 6

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
		return errors.New("the MTA does not offer SMFIP_HDR_LEADSPC, without which headers could not be kept byte for byte: set milter_protocol = 6")
	}
	return nil
}

// answer mends go-milter's reply frame, which ignores the offer and says version 2, at which the flags it asks for
// do not exist. What is kept in o is what both sides want. A list of macros goes only to an MTA that takes one.
func (o *offer) answer(reply []byte) []byte {
	out := append([]byte(nil), reply...)
	o.actions &= gomilter.OptAction(binary.BigEndian.Uint32(out[9:]))
	o.protocol &= gomilter.OptProtocol(binary.BigEndian.Uint32(out[13:]))
	binary.BigEndian.PutUint32(out[5:], min(o.version, newestVersion))
	binary.BigEndian.PutUint32(out[9:], uint32(o.actions))
	binary.BigEndian.PutUint32(out[13:], uint32(o.protocol))
	if o.actions&gomilter.OptSetSymList == 0 {
		out = out[:17]
		binary.BigEndian.PutUint32(out, 13)
	}
	return out
}
