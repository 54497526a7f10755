package holdid

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestIDs(t *testing.T) {
	at := epoch.Add(300 * 24 * time.Hour)
	first, second := New(at), New(at.Add(time.Millisecond))
	if first >= second {
		t.Errorf("%s is not before %s", first, second)
	}
	if got, ok := Parse(strings.ToLower(first)); !ok || got != first {
		t.Errorf("lower case of %s: %s, %v", first, got, ok)
	}
	for _, bad := range []string{"", first[1:], first + "2", "0" + first[1:], "I" + first[1:], first[:12] + "*",
		first[:6] + "!" + first[7:]} {
		if _, ok := Parse(bad); ok {
			t.Errorf("%q passes for an ID", bad)
		}
	}
}

func TestNumbersAreInTheOrderOfTheirIDs(t *testing.T) {
	last := int64(-1)
	for _, id := range []string{"2222222222222", "2222222322222", "2345678923456", "3999999922223",
		"ADDDDDDDZZZZZ"} {
		text := Number(id)
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n <= last || OfNumber(text) != id {
			t.Errorf("%s has number %s, which is of %s", id, text, OfNumber(text))
		}
		last = n
	}
	for _, id := range []string{"ZZZZZZZZZZZZZ", "ABC", "0222222222222A", "", "-1", "9223372036854775808"} {
		if got := Number(id); got != id || OfNumber(id) != id {
			t.Errorf("%q has number %q", id, got)
		}
	}
	if at := epoch.Add(123456789 * time.Millisecond); !Time(New(at.Add(10*365*24*time.Hour))).After(at) ||
		!Time("2222222222222").Equal(epoch) {
		t.Errorf("the first ID says %v", Time("2222222222222"))
	}
}
