package tnef

import (
	"encoding/binary"
	"strings"
	"unicode/utf16"
)

// Names lists the files in a winmail.dat as it passes, by their names alone (MS-OXTNEF section 2.1.3.1). Contents are
// stepped over; memory is bounded.
type Names struct {
	add func(name, kind string)
	cut func() // something is not listed

	data []byte // of the present attribute, as far as it is wanted
	head []byte // the present attribute's header, until it is whole
	id   uint32 // of the present attribute
	left uint64 // bytes of it, with its checksum; 0: a header comes
	read bool   // the signature was read
	lost bool   // the rest can't be read

	last attached
}

// attached is the file whose attributes are being read.
type attached struct{ long, short, title, kind string }

// NewNames returns one that calls add for each file, and cut when it leaves something out.
func NewNames(add func(name, kind string), cut func()) *Names { return &Names{add: add, cut: cut} }

const (
	attAttachRendData = 0x00069002 // the first attribute of a file
	attAttachTitle    = 0x00018010
	attAttachment     = 0x00069005

	maxProps  = 64 << 10 // bytes of an attribute that is looked at
	headBytes = 9
	sumBytes  = 2
)

// Write takes the next piece.
func (n *Names) Write(data []byte) {
	for len(data) > 0 && !n.lost {
		if n.left > 0 {
			size := min(uint64(len(data)), n.left)
			if n.id == attAttachTitle || n.id == attAttachment {
				n.data = append(n.data, data[:min(int(size), maxProps-len(n.data))]...)
			}
			data = data[size:]
			if n.left -= size; n.left == 0 {
				n.attribute()
			}
			continue
		}
		want := headBytes
		if !n.read {
			want = 6 // signature and key
		}
		size := min(want-len(n.head), len(data))
		n.head, data = append(n.head, data[:size]...), data[size:]
		if len(n.head) < want {
			return
		}
		if n.read {
			level := n.head[0]
			n.id, n.left = binary.LittleEndian.Uint32(n.head[1:]), uint64(binary.LittleEndian.Uint32(n.head[5:]))+sumBytes
			if n.data = n.data[:0]; level != 1 && level != 2 {
				n.lost = true
				n.cut()
			}
		}
		n.read, n.head = true, n.head[:0]
	}
}

// attribute takes a whole attribute.
func (n *Names) attribute() {
	value := n.data
	if len(value) < maxProps {
		value = value[:max(0, len(value)-sumBytes)]
	}
	switch n.id {
	case attAttachRendData:
		n.last = attached{}
	case attAttachTitle:
		n.last.title = text8(value)
		n.add(n.last.title, "")
	case attAttachment:
		f := &file{left: maxProperties}
		r := &reader{data: value}
		f.properties(r, n.property)
		if r.err != nil && n.last.long == "" {
			n.cut()
		}
		for _, name := range []string{n.last.long, n.last.short} {
			if name != "" || n.last.kind != "" {
				n.add(name, n.last.kind)
			}
		}
	}
}

// property takes one of a file (MS-OXCMSG section 2.2.2).
func (n *Names) property(kind, id uint16, value []byte) error {
	to := map[uint16]*string{0x3707: &n.last.long, 0x3704: &n.last.short, 0x370E: &n.last.kind}[id]
	switch {
	case to == nil:
	case kind == typeUnicode:
		units := make([]uint16, len(value)/2)
		for i := range units {
			units[i] = binary.LittleEndian.Uint16(value[2*i:])
		}
		*to = strings.TrimRight(string(utf16.Decode(units)), "\x00")
	case kind == typeString8:
		*to = text8(value)
	}
	if id == 0x370E {
		n.last.kind = strings.ToLower(n.last.kind)
	}
	return nil
}
