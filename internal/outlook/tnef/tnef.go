// Package tnef reads what a recall in Outlook's winmail.dat says (MS-OXTNEF): message class, report tag, search key,
// dates.
//
// Failure rules: every byte is hostile. Sizes are checked against what is there before anything is made of them, counts
// are bounded, values that nobody asks for are stepped over without a copy; a defect ends the reading with an error.
package tnef

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Bounds. A recall has about 10 attributes and 60 properties in less than 10 KB.
const (
	MaxSize       = 256 << 10
	maxAttributes = 64
	maxProperties = 1024 // of the whole file, rows of the recipient table included
	maxRows       = 512
	maxBody       = 1 << 10 // bytes of the sentence that a recall says to people
)

// RecallClass is the message class of Outlook's "Recall This Message".
const RecallClass = "IPM.Outlook.Recall"

const (
	signature = 0x223E9F78

	attMessageClass = 0x00078008
	attBody         = 0x0002800C
	attOemCodepage  = 0x00069007
	attMsgProps     = 0x00069003
	attRecipTable   = 0x00069004
)

// Message is what was found. Texts are as sent: see Codepage for what isn't UTF-8.
type Message struct {
	Class           string
	Codepage        uint32    // Windows codepage of OriginalSubject; 0: not said
	Tagged          bool      // it has a PidTagReportTag
	OriginalSubject []byte    // from PidTagReportTag
	SearchKey       []byte    // of the original, from PidTagReportTag or property 0x6800; 16 bytes
	Expiry          time.Time // PidTagExpiryTime
	Recipients      []string  // SMTP addresses of the recipient table, mostly absent
	Attachments     bool      // it carries more than the message
	Text            string    // its plain body, for people
	Page            bool      // it has an HTML body, or more text than the sentence of a recall
}

var errShort = errors.New("the data ends in the middle of a value")

// Is says whether data begins as a winmail.dat does.
func Is(data []byte) bool { return (&reader{data: data}).u32() == signature }

// Read reads a whole winmail.dat. What it says proves nothing about who said it.
func Read(data []byte) (*Message, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%d bytes, more than %d", len(data), MaxSize)
	}
	r := &reader{data: data}
	if r.u32() != signature {
		return nil, errors.New("no TNEF signature")
	}
	r.u16() // a key that only tells attachments apart
	f := &file{left: maxProperties}
	for n := 0; r.err == nil && len(r.data) > 0; n++ {
		if n == maxAttributes {
			return nil, fmt.Errorf("more than %d attributes", maxAttributes)
		}
		level, id, value := attribute(r)
		f.Attachments = f.Attachments || level == 2
		if r.err == nil {
			r.err = f.take(id, value)
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	return &f.Message, nil
}

// attribute reads level, id, length, data and checksum (MS-OXTNEF section 2.1.3.2).
func attribute(r *reader) (level uint8, id uint32, value []byte) {
	level = r.u8()
	id = r.u32()
	value = r.bytes(r.u32())
	sum := r.u16()
	for _, b := range value {
		sum -= uint16(b)
	}
	if r.err == nil && (level != 1 && level != 2 || sum != 0) {
		r.err = fmt.Errorf("attribute %#x has a wrong level or checksum", id)
	}
	return level, id, value
}

// file gathers the message over its attributes.
type file struct {
	Message
	left    int // properties that may still come
	classed bool
}

func (f *file) take(id uint32, value []byte) error {
	r := &reader{data: value}
	switch id {
	case attMessageClass:
		if f.classed {
			return errors.New("two message classes") // programs differ in which they believe
		}
		f.Class, f.classed = text8(value), true
	case attOemCodepage:
		f.Codepage = r.u32()
	case attMsgProps:
		f.properties(r, f.messageProperty)
	case attBody:
		f.text(value)
	case attRecipTable:
		rows := r.u32()
		for ; r.err == nil && rows > 0; rows-- {
			if len(f.Recipients) == maxRows {
				return fmt.Errorf("more than %d recipients", maxRows)
			}
			f.properties(r, f.rowProperty)
		}
	}
	return r.err
}

// properties reads a count and as many properties (MS-OXTNEF section 2.1.3.4).
func (f *file) properties(r *reader, take func(kind, id uint16, value []byte) error) {
	for n := r.u32(); r.err == nil && n > 0; n-- {
		if f.left--; f.left < 0 {
			r.err = fmt.Errorf("more than %d properties", maxProperties)
			return
		}
		kind, id := r.u16(), r.u16()
		if id >= 0x8000 {
			r.name()
		}
		value := r.value(kind)
		if r.err == nil {
			r.err = take(kind, id, value)
		}
	}
}

func (f *file) messageProperty(kind, id uint16, value []byte) error {
	switch {
	case id == 0x001A && kind == typeString8 && f.Class == "":
		f.Class = text8(value)
	case id == 0x0015 && kind == typeTime:
		f.Expiry = fileTime(binary.LittleEndian.Uint64(value))
	case id == 0x6800 && kind == typeBinary && len(value) == 16:
		f.SearchKey = bytes.Clone(value)
	case id == 0x0031 && kind == typeBinary:
		return f.reportTag(value)
	case id == 0x1000: // PidTagBody
		f.text(value)
	case id == 0x1009: // PidTagRtfCompressed: Outlook puts its sentence into one of some hundred bytes
		f.Page = f.Page || len(value) > maxBody
	case id == 0x1013: // PidTagHtml
		f.Page = true
	}
	return nil
}

// text takes a plain body, also one in UTF-16: a recall's is in letters of ASCII and some others.
func (f *file) text(value []byte) {
	if f.Page = f.Page || len(value) > 2*maxBody; !f.Page {
		f.Text += strings.ReplaceAll(string(value), "\x00", "")
	}
}

func (f *file) rowProperty(kind, id uint16, value []byte) error {
	if id == 0x39FE && kind == typeString8 {
		f.Recipients = append(f.Recipients, text8(value))
	}
	return nil
}

// reportTag reads PidTagReportTag (MS-OXOMSG section 2.2.2.22): which message this one is about.
func (f *file) reportTag(value []byte) error {
	r := &reader{data: value}
	if cookie := r.bytes(9); r.err == nil && string(cookie) != "PCDFEB09\x00" {
		return errors.New("the report tag has a wrong cookie")
	}
	r.u32() // version
	var key []byte
	for range 5 { // IDs of store, folder, message, search folder, and the search key
		key = r.bytes(r.u32())
	}
	subject := r.bytes(r.u32())
	if r.err != nil {
		return fmt.Errorf("the report tag: %w", r.err)
	}
	if len(key) == 16 {
		f.SearchKey = bytes.Clone(key)
	}
	f.Tagged = true
	f.OriginalSubject = bytes.Clone(bytes.TrimRight(subject, "\x00"))
	return nil
}

// fileTime converts 100 ns since 1601; the end of time is not a time.
func fileTime(ticks uint64) time.Time {
	const epoch, perSecond = 11644473600, 10_000_000
	seconds := int64(ticks / perSecond)
	if seconds < epoch || seconds > epoch+1<<33 {
		return time.Time{}
	}
	return time.Unix(seconds-epoch, int64(ticks%perSecond)*100).UTC()
}

func text8(value []byte) string {
	text, _, _ := strings.Cut(string(value), "\x00")
	return text
}
