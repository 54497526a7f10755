package tnef_test

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/recall-milter/recall-milter/internal/outlook/tnef"
	"github.com/recall-milter/recall-milter/test/outlook"
)

const (
	class      = 0x00078008
	properties = 0x00069003
	recipients = 0x00069004
)

func TestARecallOfOutlookIsRead(t *testing.T) {
	got, err := tnef.Read(outlook.Winmail([]byte("the price list"), 1252))
	want := &tnef.Message{Class: tnef.RecallClass, Codepage: 1252, Tagged: true, OriginalSubject: []byte("the price list"),
		SearchKey: []byte("0123456789abcdef"), Expiry: time.Unix(1795683600, 0).UTC()}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestRecipientsOfTheTableAreRead(t *testing.T) {
	row := outlook.Properties(outlook.Property(0x001E, 0x39FE, outlook.Variable([]byte("b@x.test\x00"))))
	table := append(binary.LittleEndian.AppendUint32(nil, 2), append(row, row...)...)
	got, err := tnef.Read(outlook.NewTNEF().Attribute(recipients, table).Bytes())
	if err != nil || !slices.Equal(got.Recipients, []string{"b@x.test", "b@x.test"}) {
		t.Errorf("%v %+v", err, got)
	}
}

func TestAMessageClassMayComeAsAProperty(t *testing.T) {
	value := outlook.Variable([]byte(tnef.RecallClass + "\x00"))
	got, err := tnef.Read(outlook.NewTNEF().Attribute(properties,
		outlook.Properties(outlook.Property(0x001E, 0x001A, value))).Bytes())
	if err != nil || got.Class != tnef.RecallClass {
		t.Errorf("%v %+v", err, got)
	}
}

func TestEveryCutOfARecallIsADefectOrWithoutTag(t *testing.T) {
	whole := outlook.Winmail([]byte("the price list"), 1252)
	for n := range whole {
		if m, err := tnef.Read(whole[:n]); err == nil && m.SearchKey != nil {
			t.Errorf("the first %d of %d bytes were read as a recall", n, len(whole))
		}
	}
}

func TestBombsAndDefectsAreRefused(t *testing.T) {
	huge := binary.LittleEndian.AppendUint32(nil, 0xFFFFFFFF)
	in := func(p []byte) []byte { return outlook.NewTNEF().Attribute(properties, p).Bytes() }
	many := outlook.NewTNEF()
	for range 65 {
		many.Attribute(class, nil)
	}
	wrong := outlook.Winmail([]byte("x"), 0)
	wrong[len(wrong)-1]++
	for name, data := range map[string][]byte{
		"empty":            nil,
		"no TNEF":          []byte(strings.Repeat("x", 100)),
		"too large":        append(outlook.Winmail(nil, 0), make([]byte, tnef.MaxSize)...),
		"a wrong checksum": wrong,
		"an attribute of 4 GB": append(binary.LittleEndian.AppendUint32(append(outlook.NewTNEF().Bytes(), 1), class),
			huge...),
		"many attributes":      many.Bytes(),
		"4 billion properties": in(huge),
		"1025 properties": in(outlook.Properties(slices.Repeat([][]byte{outlook.Property(0x0003, 1,
			make([]byte, 4))}, 1025)...)),
		"a value of 4 GB": in(outlook.Properties(outlook.Property(0x0102, 0x31,
			append([]byte{1, 0, 0, 0}, huge...)))),
		"4 billion values":          in(outlook.Properties(outlook.Property(0x101E, 1, huge))),
		"an unknown type":           in(outlook.Properties(outlook.Property(0x0099, 1, make([]byte, 8)))),
		"a name of an unknown kind": in(outlook.Properties(outlook.Property(0x0003, 0x8000, slices.Repeat([]byte{9}, 40)))),
		"a tag with a wrong cookie": in(outlook.Properties(outlook.Property(0x0102, 0x31,
			outlook.Variable([]byte("PCDFEB10\x00 and more"))))),
		"4 billion recipients": outlook.NewTNEF().Attribute(recipients, append(huge, make([]byte, 3000)...)).Bytes(),
	} {
		if m, err := tnef.Read(data); err == nil {
			t.Errorf("%s: was read as %+v", name, m)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(outlook.Winmail([]byte("the price list"), 936))
	f.Add(outlook.NewTNEF().Attribute(recipients, []byte{1, 0, 0, 0, 0, 0, 0, 0}).Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		if m, err := tnef.Read(data); err == nil && len(m.SearchKey) != 0 && len(m.SearchKey) != 16 {
			t.Errorf("a search key of %d bytes", len(m.SearchKey))
		}
	})
}
