package tnef

import (
	"encoding/binary"
	"fmt"
)

// Property types (MS-OXCDATA section 2.11.1) that need a name here.
const (
	typeTime    = 0x0040
	typeString8 = 0x001E
	typeUnicode = 0x001F
	typeObject  = 0x000D
	typeBinary  = 0x0102
	multiple    = 0x1000
)

// fixed are the sizes of types without a length of their own; smaller ones are padded to 4.
var fixed = map[uint16]uint32{
	0x0002: 2, 0x0003: 4, 0x0004: 4, 0x0005: 8, 0x0006: 8, 0x0007: 8, 0x000A: 4, 0x000B: 2, 0x0014: 8, typeTime: 8,
	0x0048: 16,
}

// reader takes little-endian values off the front of data. After the first defect it returns zeros.
type reader struct {
	data []byte
	err  error
}

// bytes returns the next n bytes, which stay part of data.
func (r *reader) bytes(n uint32) []byte {
	if r.err == nil && uint64(n) > uint64(len(r.data)) {
		r.err = errShort
	}
	if r.err != nil {
		return nil
	}
	out := r.data[:n:n]
	r.data = r.data[n:]
	return out
}

func (r *reader) u8() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if b := r.bytes(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// padded returns n bytes and steps over what fills them up to 4. Some writers leave out the last padding.
func (r *reader) padded(n uint32) []byte {
	out := r.bytes(n)
	if fill := -n & 3; r.err == nil && len(r.data) > 0 {
		r.bytes(fill)
	}
	return out
}

// name steps over the name of a named property: GUID, kind, and a number or a text.
func (r *reader) name() {
	r.bytes(16)
	switch kind := r.u32(); {
	case r.err != nil:
	case kind == 0:
		r.u32()
	case kind == 1:
		r.padded(r.u32())
	default:
		r.err = fmt.Errorf("a property name has the unknown kind %d", kind)
	}
}

// value reads the value of a property of the given type; of several values it returns the first. A value that isn't
// there is nil; those of fixed size have that size otherwise.
func (r *reader) value(kind uint16) []byte {
	size, isFixed := fixed[kind&^multiple]
	switch kind &^ multiple {
	case typeString8, typeUnicode, typeObject, typeBinary:
	default:
		if !isFixed {
			r.err = fmt.Errorf("a property has the unknown type %#x", kind)
			return nil
		}
	}
	n := uint32(1)
	if kind&multiple != 0 || !isFixed {
		n = r.u32()
	}
	var first []byte
	for i := uint32(0); r.err == nil && i < n; i++ {
		if len(r.data) == 0 { // without this an empty value would let n grow past the data
			r.err = errShort
			break
		}
		length := size
		if !isFixed {
			length = r.u32()
		}
		if v := r.padded(length); i == 0 {
			first = v
		}
	}
	return first
}
