package milter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/recall"
	"github.com/recall-milter/recall-milter/milter/internal/wire"
	"github.com/recall-milter/recall-milter/policy"
)

func TestHeadersAreKeptByteForByte(t *testing.T) {
	bubble(t, func(r *rig) {
		m := r.mta()
		m.begin("a@corp.test", "b@x.test")
		fields := []string{
			"Subject:no blank", "Subject:  duplicate", "X-Empty:", "X-Blank: ", "X-Tab:\tvalue\t \t",
			"X-Folded: one\n\ttwo\n  three",
			"X-Fold-First:\n value", "X-8bit: \xe4\xff\x80 \xc3\xa4", "X-NUL: a\x00b", ":no name", "X-CR: a\rb", "X Space : odd",
		}
		var want strings.Builder
		for _, f := range fields {
			want.WriteString(strings.ReplaceAll(f, "\n", "\r\n") + "\r\n")
		}
		for n := range 3000 {
			f := fmt.Sprintf("X-Many: %d", n)
			fields = append(fields, f)
			want.WriteString(f + "\r\n")
		}
		m.header('c', fields...)
		m.ask('E', "", 'd')
		if got := string(r.store.holds[0].header); got != want.String() {
			t.Errorf("got\n%.900q\nwant\n%.900q", got, want.String())
		}
	})
}

func TestHeaderWithoutValue(t *testing.T) {
	bubble(t, func(r *rig) {
		m := r.mta()
		m.begin("a@corp.test", "b@x.test")
		m.send('L', "X-Alone") // not even a NUL
		m.send('L', "X-Two\x00")
		m.send('L', "")
		m.header('c')
		m.ask('E', "", 'd')
		if got := string(r.store.holds[0].header); got != "X-Alone:\r\nX-Two:\r\n:\r\n" {
			t.Errorf("%q", got)
		}
	})
}

func TestBodiesAreKeptByteForByte(t *testing.T) {
	for name, chunks := range map[string][]string{
		"empty":                nil,
		"split in a line end":  {"one\r", "\ntwo\r\n"},
		"dots and blanks":      {".\r\n..\r\n.x \t\r\n \r\n"},
		"NUL, CR and CRCRLF":   {"a\x00b\rc\r\r\nlast line without an end"},
		"nothing, then a line": {"", "x\r\n"},
		"a full frame":         {strings.Repeat("x", wire.MaxFrame-1)},
	} {
		for _, inEnd := range []bool{false, true} {
			bubble(t, func(r *rig) {
				m := r.mta()
				m.begin("a@corp.test", "b@x.test")
				m.header('c', "Subject: x")
				last := ""
				for n, c := range chunks {
					if inEnd && n == len(chunks)-1 {
						last = c
					} else {
						m.ask('B', c, 'c')
					}
				}
				m.ask('E', last, 'd')
				if got := r.store.holds[0].body.String(); got != strings.Join(chunks, "") {
					t.Errorf("%s (last piece in the end frame: %v): %.200q", name, inEnd, got)
				}
			})
		}
	}
}

// removals reads replies up to the last one, and returns the places of the removed fields, in order.
func (m *mta) removals(want byte) (places []byte) {
	m.t.Helper()
	for {
		f := m.reply()
		if f.code != 'm' {
			if f.code != want {
				m.t.Fatalf("answered by %q %q, want %q", f.code, f.data, want)
			}
			return places
		}
		if string(f.data[4:]) != "X-Hold-For\x00\x00" {
			m.t.Fatalf("changes %q", f.data)
		}
		places = append(places, f.data[3])
	}
}

func TestWishIsRemovedFromWhatTravelsOn(t *testing.T) {
	away := func(context.Context) error { return errors.New("away") }
	tooMuch := func(_ holdstore.Submission, size int64) string { return fmt.Sprintf("larger than %d", size-1) }
	for name, c := range map[string]struct {
		wish    string
		prepare func(*rig)
	}{
		"passed":                {"0", func(*rig) {}},
		"larger than max_size":  {"10m", func(r *rig) { r.MaxSize = 100 }},
		"header over max_size":  {"10m", func(r *rig) { r.MaxSize = 10 }},
		"too large to return":   {"10m", func(r *rig) { r.TooLarge = tooMuch }},
		"store fails, deliver":  {"10m", func(r *rig) { r.OnStoreFailure, r.store.onCommit = "deliver", away }},
		"store fails in a body": {"10m", func(r *rig) { r.OnStoreFailure, r.store.onWrite = "deliver", away }},
	} {
		bubble(t, func(r *rig) {
			c.prepare(r)
			m := r.mta()
			m.begin("a@corp.test", "b@x.test")
			m.header('c', "X-Hold-For: "+c.wish, "Subject: x", "x-hold-for: "+c.wish)
			m.ask('B', strings.Repeat("x", 200), 'c')
			m.send('E')
			if places := m.removals('a'); string(places) != "\x02\x01" {
				t.Errorf("%s: removes fields %v, want the second, then the first", name, places)
			}
			if len(r.store.holds) != 0 {
				t.Errorf("%s: held", name)
			}
		})
	}
}

func TestWishIsNotPartOfTheHold(t *testing.T) {
	bubble(t, func(r *rig) {
		m := r.mta()
		m.begin("a@corp.test", "b@x.test")
		m.header('c', "X-Hold-For: 10m", "Subject: x", "X-HOLD-FOR: 10m")
		m.ask('E', "", 'd')
		if got := string(r.store.holds[0].header); got != "Subject: x\r\n" {
			t.Errorf("%q", got)
		}
	})
}

// Both fields of a wish are removed, from what is held and from what travels on.
func TestBothWishesAreRemoved(t *testing.T) {
	bubble(t, func(r *rig) {
		m := r.mta()
		m.begin("a@corp.test", "b@x.test")
		m.header('c', "X-Hold-For: 10m", "X-Hold-Until: tomorrow", "Subject: x", "x-hold-until: today")
		m.ask('E', "", 'd')
		if got := string(r.store.holds[0].header); got != "Subject: x\r\n" {
			t.Errorf("%q", got)
		}
		m.abort()
		m.begin("a@corp.test", "b@x.test")
		m.header('c', "X-Hold-For: 0", "X-Hold-Until: tomorrow", "Subject: x", "x-hold-until: today")
		m.send('E')
		var removed []string
		for f := m.reply(); f.code != 'a'; f = m.reply() {
			removed = append(removed, fmt.Sprintf("%c%d %s", f.code, f.data[3], bytes.Trim(f.data[4:], "\x00")))
		}
		if got := strings.Join(removed, ", "); got != "m1 X-Hold-For, m2 X-Hold-Until, m1 X-Hold-Until" {
			t.Error(got)
		}
	})
}

// A moment of the calendar stays where it is, however long the message takes to come.
func TestAMomentDoesNotMoveWhileTheMessageComes(t *testing.T) {
	bubble(t, func(r *rig) {
		until := time.Now().Add(time.Hour)
		var asked []time.Time
		r.Server.Policy = func() Policy {
			return verdicts(func(f policy.Facts) policy.Verdict {
				asked = append(asked, f.Now)
				return policy.Verdict{Certain: f.Known >= policy.AtEnd, Hold: true, Rule: "closed",
					Grace: until.Sub(f.Now), Until: until}
			})
		}
		m := r.mta()
		m.begin("a@corp.test", "b@x.test")
		time.Sleep(3 * time.Minute) // of the bubble
		m.header('c', "Subject: x")
		time.Sleep(2 * time.Minute)
		m.ask('E', "", 'd')
		if got := r.store.holds[0].terms; got.Grace != 55*time.Minute || !got.Fixed {
			t.Errorf("%+v", got)
		}
		if len(asked) != 3 || !asked[0].Equal(asked[1]) || !asked[0].Equal(asked[2]) {
			t.Errorf("asked with %v", asked)
		}
	})
}

func TestWhatIsTooLargePasses(t *testing.T) {
	bubble(t, func(r *rig) {
		r.MaxSize = 1000
		m := r.mta()
		m.begin("a@corp.test", "b@x.test")
		m.header('c', "Subject: x")
		m.ask('B', strings.Repeat("x", 900), 'c')
		m.ask('B', strings.Repeat("x", 900), 'c')
		m.ask('E', "", 'a')
		m.abort()
		m.begin("a@corp.test", "b@x.test")
		m.header('c', "Subject: "+strings.Repeat("x", 1000))
		m.ask('E', "", 'a')
		m.abort()
		m.begin("a@corp.test", "b@x.test")
		for range maxFields + 1 {
			m.send('L', "", "\x00")
		}
		m.ask('N', "", 'a')
		if len(r.store.holds) != 0 || r.store.begun != r.store.abandoned || r.log.count("passed") != 3 {
			t.Errorf("%d holds, %d of %d abandoned, log %q", len(r.store.holds), r.store.abandoned, r.store.begun, r.log.lines)
		}
	})
}

// The name of a field is compared with the case of ASCII letters ignored, and nothing else: what no other program takes
// for a Message-ID is none, and a mark in such a field vouches for nothing.
func TestFieldsThatOnlyResembleOthersAreOthers(t *testing.T) {
	fields := []policy.Field{{Name: "Me\u017f\u017fage-ID", Value: " <a@evil.test>"},
		{Name: "message-id", Value: " <b@corp.test>"}}
	if got := first(fields, "Message-ID"); got != "<b@corp.test>" {
		t.Errorf("the Message-ID is %s", got)
	}
	m := &recall.Mail{Message: mailmsg.Message{Fields: []policy.Field{{Name: "\u017fupersedes", Value: " <a@corp.test>"}}}}
	desk := recall.New(nil, nil, nil, recall.Options{Supersedes: true})
	if desk.Examine(m.Submission, m.Fields).May {
		t.Error("a field that resembles Supersedes makes a command")
	}
}
