// Package outlook builds recall mails as Outlook sends them, byte for byte in the layout that was seen in the field:
// form A over SMTP submission, with a winmail.dat, and form B through Exchange, with text only.
package outlook

import (
	"encoding/binary"
	"slices"
)

// TNEF builds a winmail.dat (MS-OXTNEF) from attributes.
type TNEF struct{ out []byte }

// NewTNEF begins a file.
func NewTNEF() *TNEF {
	return &TNEF{binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint32(nil, 0x223E9F78), 0x0001)}
}

// Attribute adds one attribute of the message with a right checksum.
func (t *TNEF) Attribute(id uint32, data []byte) *TNEF { return t.attribute(1, id, data) }

// Attachment adds a file.
func (t *TNEF) Attachment(data []byte) *TNEF {
	return t.attribute(2, 0x00069002, make([]byte, 14)).attribute(2, 0x0006800F, data)
}

func (t *TNEF) attribute(level byte, id uint32, data []byte) *TNEF {
	t.out = binary.LittleEndian.AppendUint32(append(t.out, level), id)
	t.out = append(binary.LittleEndian.AppendUint32(t.out, uint32(len(data))), data...)
	var sum uint16
	for _, b := range data {
		sum += uint16(b)
	}
	t.out = binary.LittleEndian.AppendUint16(t.out, sum)
	return t
}

// Bytes returns the file.
func (t *TNEF) Bytes() []byte { return slices.Clone(t.out) }

// Property is one property of attMsgProps, padded to 4.
func Property(kind, id uint16, value []byte) []byte {
	out := binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(nil, kind), id)
	return append(out, value...)
}

// Variable is the value of a property of variable length: a count of one, a length, the bytes, the padding.
func Variable(data []byte) []byte {
	out := binary.LittleEndian.AppendUint32(nil, 1)
	out = append(binary.LittleEndian.AppendUint32(out, uint32(len(data))), data...)
	return append(out, make([]byte, -len(data)&3)...)
}

// Properties is the data of attMsgProps.
func Properties(all ...[]byte) []byte {
	out := binary.LittleEndian.AppendUint32(nil, uint32(len(all)))
	for _, p := range all {
		out = append(out, p...)
	}
	return out
}

// Named is the name of a named property, by a text: a GUID, kind 1, and UTF-16 padded to 4.
func Named(name string) []byte {
	out := binary.LittleEndian.AppendUint32(make([]byte, 16), 1)
	var text []byte
	for _, r := range name + "\x00" {
		text = binary.LittleEndian.AppendUint16(text, uint16(r))
	}
	out = append(binary.LittleEndian.AppendUint32(out, uint32(len(text))), text...)
	return append(out, make([]byte, -len(text)&3)...)
}

// ReportTag is PidTagReportTag: a cookie, a version, five IDs of which the fifth is the search key, and the subject.
func ReportTag(searchKey []byte, subject []byte) []byte {
	out := binary.LittleEndian.AppendUint32([]byte("PCDFEB09\x00"), 0x00020001)
	for _, id := range [][]byte{nil, nil, nil, nil, searchKey, append(slices.Clone(subject), 0)} {
		out = append(binary.LittleEndian.AppendUint32(out, uint32(len(id))), id...)
	}
	return out
}

// Ticks is a moment of TNEF: 100 ns since 1601, from seconds since 1970.
func Ticks(unix int64) []byte {
	return binary.LittleEndian.AppendUint64(nil, uint64(unix+11644473600)*10_000_000)
}

// Winmail is the winmail.dat of a recall of the message with this subject, in the given codepage.
func Winmail(subject []byte, codepage uint32) []byte { return recalling(subject, codepage).Bytes() }

// WinmailWith is such a winmail.dat that carries a file too, as Outlook never makes it.
func WinmailWith(subject, file []byte) []byte {
	return recalling(subject, 65001).Attachment(file).Bytes()
}

func recalling(subject []byte, codepage uint32) *TNEF {
	key := []byte("0123456789abcdef")
	return NewTNEF().
		Attribute(0x00089006, []byte{0, 0, 1, 0}).
		Attribute(0x00069007, binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, codepage), 0)).
		Attribute(0x00078008, []byte("IPM.Outlook.Recall\x00")).
		Attribute(0x00069003, Properties(
			Property(0x0102, 0x0031, Variable(ReportTag(key, subject))),
			Property(0x0040, 0x0015, Ticks(1795683600)),
			Property(0x000B, 0x0029, []byte{1, 0, 0, 0}),
			Property(0x0003, 0x8001, append(Named("Count"), 7, 0, 0, 0)),
			Property(0x0102, 0x6800, Variable(key)),
			Property(0x101E, 0x8002, append(Named("Keywords"), binary.LittleEndian.AppendUint32(nil, 0)...)),
		))
}
