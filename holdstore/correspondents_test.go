package holdstore

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

const year = 365 * 24 * time.Hour

func acquainted(t *testing.T, s *Store, keep time.Duration, pairs ...Pair) (known []bool) {
	t.Helper()
	known, err := s.Acquainted(t.Context(), pairs, keep)
	if err != nil {
		t.Fatal(err)
	}
	return known
}

func acquaint(t *testing.T, s *Store, keep time.Duration, pairs ...Pair) {
	t.Helper()
	if err := s.Acquaint(t.Context(), pairs, keep); err != nil {
		t.Fatal(err)
	}
}

// numbered is a name that no hash made.
func numbered(n int) (c Correspondent) {
	binary.BigEndian.PutUint32(c[:], uint32(n)*2654435761)
	binary.BigEndian.PutUint16(c[4:], uint16(n))
	return c
}

func TestWhoHasWrittenToWhom(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	today := Day(time.Now())
	pair := func(person, contact, day int, came bool) Pair {
		return Pair{numbered(person), numbered(contact), came, day}
	}
	if day, err := s.AcquaintedSince(t.Context()); day != 0 || err != nil {
		t.Errorf("a new store knows since %d, %v", day, err)
	}
	acquaint(t, s, year, pair(1, 2, today-100, false), pair(1, 3, today, false), pair(1, 3, today-30, false),
		pair(2, 3, today, true), pair(9, 9, today-400, false))
	got := fmt.Sprint(acquainted(t, s, year, pair(1, 2, 0, false), pair(1, 3, 0, false), pair(2, 1, 0, false),
		pair(2, 3, 0, true), pair(2, 3, 0, false), pair(9, 9, 0, false)))
	if got != "[true true false true false false]" {
		t.Errorf("known: %s", got)
	}
	if got := fmt.Sprint(acquainted(t, s, 50*24*time.Hour, pair(1, 2, 0, false),
		pair(1, 3, 0, false))); got != "[false true]" {
		t.Errorf("within 50 days: %s", got)
	}
	if day, err := s.AcquaintedSince(t.Context()); day != today-100 || err != nil {
		t.Errorf("known since %d days, %v", today-day, err)
	}
	if n, err := s.ForgetCorrespondent(t.Context(), numbered(3), true); n != 2 || err != nil {
		t.Errorf("%d of 3 are counted, %v", n, err)
	}
	if n, err := s.ForgetCorrespondent(t.Context(), numbered(3), false); n != 2 || err != nil {
		t.Errorf("%d of 3 are forgotten, %v", n, err)
	}
	all := 0
	if err := s.Acquaintances(t.Context(), func(p Pair) error {
		all++
		if p != pair(1, 2, today-100, false) {
			t.Errorf("left: %+v", p)
		}
		return nil
	}); all != 1 || err != nil {
		t.Errorf("%d are left, %v", all, err)
	}
	if f := faults(t, s, false); len(f) > 0 {
		t.Errorf("faults: %+v", f)
	}
}

// Whoever writes to very many pushes out their own pairs, and nobody else's; what is too old goes first.
func TestABusyWriterPushesOutThemselves(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	today := Day(time.Now())
	same := func(person, n, day int) Pair { // all in one bucket: the first four bytes decide
		p := Pair{Person: numbered(person), Day: day}
		copy(p.Contact[:], p.Person[:4])
		binary.BigEndian.PutUint16(p.Contact[4:], uint16(n))
		return p
	}
	var all []Pair
	for n := range 20 {
		all = append(all, same(1, n, today-300), same(2, n, today-364))
	}
	for n := range 3 * bucketMost {
		all = append(all, same(3, n, today-n%7))
	}
	acquaint(t, s, year, all...)
	acquaint(t, s, 363*24*time.Hour, same(4, 1, today)) // of person 2, all are too old by now
	count := map[Correspondent]int{}
	if err := s.Acquaintances(t.Context(), func(p Pair) error { count[p.Person]++; return nil }); err != nil {
		t.Fatal(err)
	}
	if count[numbered(1)] != 20 || count[numbered(2)] != 0 || count[numbered(3)] < bucketMost-42 ||
		count[numbered(4)] != 1 {
		t.Errorf("%v", count)
	}
}

// Of two who write to many, each is cut to what the other has.
func TestTwoBusyWritersShareWhatThereIs(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	var all []Pair
	for person, pairs := range map[int]int{1: 20, 2: 90, 3: 100} {
		for n := range pairs {
			p := Pair{Person: numbered(person), Day: Day(time.Now()) - 10*person}
			copy(p.Contact[:], p.Person[:4]) // all in one bucket
			binary.BigEndian.PutUint16(p.Contact[4:], uint16(n))
			all = append(all, p)
		}
	}
	acquaint(t, s, year, all...)
	got := map[Correspondent]int{}
	if err := s.Acquaintances(t.Context(), func(p Pair) error { got[p.Person]++; return nil }); err != nil {
		t.Fatal(err)
	}
	if got[numbered(1)] != 20 || got[numbered(2)] != 50 || got[numbered(3)] != 50 {
		t.Errorf("%v", got)
	}
}

// A million pairs take less than 64 MB, and a look-up microseconds of Redis' time.
func TestAMillionPairsAreSmall(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	const sample = 10_000 // in a hundredth of the buckets: as full as with a million
	var pairs []Pair
	for n := 0; len(pairs) < sample; n++ {
		p := Pair{numbered(n % 1009), numbered(n), false, Day(time.Now())}
		if p.bucket()%100 == 0 {
			pairs = append(pairs, p)
		}
	}
	acquaint(t, s, year, pairs...)
	var sum int64
	buckets := map[int]bool{}
	for _, p := range pairs {
		if at, name := s.bucketKey(p.bucket()); !buckets[p.bucket()] {
			buckets[p.bucket()] = true
			sum += s.nodes.Client.MemoryUsage(t.Context(), string(at)+name).Val()
		}
	}
	bytes := float64(sum) / sample
	began := time.Now()
	acquainted(t, s, year, pairs...)
	took := time.Since(began) / sample
	t.Logf("%.1f bytes a pair, %v for a look-up", bytes, took)
	if bytes > 40 {
		t.Errorf("a million pairs take %.0f MB", bytes)
	}
}
