package milter

import (
	"encoding/binary"
	"io"
)

// frame is one packet of the milter protocol, as the MTA's side sees it.
type frame struct {
	code byte
	data []byte
}

func (f frame) bytes() []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(f.data)+1))
	return append(append(out, f.code), f.data...)
}

func readFrame(r io.Reader) (frame, error) {
	var size uint32
	if err := binary.Read(r, binary.BigEndian, &size); err != nil {
		return frame{}, err
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(r, data); err != nil {
		return frame{}, err
	}
	return frame{data[0], data[1:]}, nil
}
