package milter

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/internal/authenticate"
	"github.com/recall-milter/recall-milter/internal/inbound"
	"github.com/recall-milter/recall-milter/policy"
)

// Frames as no MTA known to us sends them, but another one may: what only we may write is taken out under the name and
// number that the MTA knows it by, the last one first, and nothing else.
func TestForgedFieldsInOddFramesAreTakenOut(t *testing.T) {
	removed := func(m *mta) (all []string) {
		m.send('E')
		for {
			f := m.reply()
			if f.code != 'm' {
				if f.code != 'a' {
					t.Errorf("answered by %q %q", f.code, f.data)
				}
				return all
			}
			name, value, _ := strings.Cut(string(f.data[4:]), "\x00")
			if value != "\x00" {
				t.Errorf("changes %q to %q", name, value)
			}
			all = append(all, fmt.Sprintf("%s#%d", name, f.data[3]))
		}
	}
	for what, c := range map[string]struct {
		frames []string // of fields, after From
		want   []string
	}{
		"NUL in a value": {[]string{"X-Recall-Policy\x00 pass\x00; x\x00"}, []string{"x-recall-policy#1"}},
		"NUL before an id": {[]string{"Authentication-Results\x00 \x00gw.corp.test; x\x00"},
			[]string{"authentication-results#1"}},
		"NUL in an id": {[]string{"Authentication-Results\x00 gw\x00.corp.test; x\x00"},
			[]string{"authentication-results#1"}},
		"no end of a value":     {[]string{"X-Recall-Policy\x00 pass"}, []string{"x-recall-policy#1"}},
		"no value":              {[]string{"X-Recall-Policy"}, []string{"x-recall-policy#1"}},
		"bare CR behind a name": {[]string{"X-Recall-Policy\r\x00 pass\x00"}, []string{"x-recall-policy\r#1"}},
		"8-bit around a name":   {[]string{"\xa0X-Recall-Policy\xff\x00 pass\x00"}, []string{"\xa0x-recall-policy\xff#1"}},
		"folds of three kinds": {[]string{"X-Recall-Policy\x00\n pass\x00", "X-Recall-Policy\x00\r\n pass\x00",
			"X-Recall-Policy\x00\r pass\x00"}, []string{"x-recall-policy#3", "x-recall-policy#2", "x-recall-policy#1"}},
		"blanks and cases between": {[]string{"X-RECALL-A \x00 x\x00", "Subject\x00 kept\x00", "x-recall-a\t\x00 x\x00",
			"X-Recall\x00 kept\x00"}, []string{"x-recall-a#2", "x-recall-a#1"}},
		"of others between": {[]string{"Authentication-Results\x00 other.test; x\x00",
			"authentication-RESULTS\x00\n\tgw.corp.test\n\t; x\x00", "Authentication-Results\x00 gw.corp.test.evil.test; x\x00"},
			[]string{"authentication-results#2"}},
		"behind 3000 others": {append(slices.Repeat([]string{"X-Other\x00 x\x00"}, 3000), "X-Recall-Policy\x00 pass\x00"),
			[]string{"x-recall-policy#1"}},
	} {
		bubble(t, func(r *rig) {
			r.Policy = func() Policy {
				return verdicts(func(policy.Facts) policy.Verdict { return policy.Verdict{Inbound: true} })
			}
			r.Inbound = inbound.New(inbound.Options{AuthservID: "gw.corp.test", Remember: time.Hour,
				Verifier: authenticate.New(nil, authenticate.Options{})}, nil, nil, nil)
			m := r.mta()
			m.begin("x@evil.test", "bert@corp.test")
			for _, f := range append([]string{"From\x00 x@evil.test\x00"}, c.frames...) {
				m.write(frame{'L', []byte(f)}.bytes())
			}
			m.ask('N', "", 'c')
			if got := removed(m); !slices.Equal(got, c.want) {
				t.Errorf("%s: takes out %q, want %q", what, got, c.want)
			}
		})
	}
}

// go-milter writes a long reply in pieces. However long a name is, the MTA gets the reply whole, and the session goes
// on.
func TestAForgedFieldWithALongNameIsTakenOut(t *testing.T) {
	bubble(t, func(r *rig) {
		r.Policy = func() Policy {
			return verdicts(func(policy.Facts) policy.Verdict { return policy.Verdict{Inbound: true} })
		}
		r.Inbound = inbound.New(inbound.Options{AuthservID: "gw.corp.test",
			Verifier: authenticate.New(nil, authenticate.Options{})}, nil, nil, nil)
		m := r.mta()
		for _, size := range []int{4084, 4085, 4086, 4087, 4088, 4089, 4090, 4091, 10000, 100000} {
			name := "x-recall-" + strings.Repeat("d", size-9)
			m.begin("x@evil.test", "bert@corp.test")
			m.write(frame{'L', []byte(name + "\x00 pass\x00")}.bytes())
			m.ask('N', "", 'c')
			if got := m.ask('E', "", 'm')[4:]; got != name+"\x00\x00" {
				t.Fatalf("of a name of %d bytes the MTA gets %d", size, len(got)-2)
			}
			if f := m.reply(); f.code != 'a' {
				t.Fatalf("behind a name of %d bytes: answered by %q", size, f.code)
			}
		}
	})
}

// Taking a field out costs the MTA a look at the whole header: what carries thousands of them is refused.
func TestAMessageWithTooManyForgedFieldsIsRefused(t *testing.T) {
	for n, want := range map[int]byte{maxForged: 'c', maxForged + 1: 'y'} {
		bubble(t, func(r *rig) {
			r.Policy = func() Policy {
				return verdicts(func(policy.Facts) policy.Verdict { return policy.Verdict{Inbound: true} })
			}
			r.Inbound = inbound.New(inbound.Options{AuthservID: "gw.corp.test",
				Verifier: authenticate.New(nil, authenticate.Options{})}, nil, nil, nil)
			m := r.mta()
			m.begin("x@evil.test", "bert@corp.test")
			m.send('L', "From", " x@evil.test\x00")
			for range n {
				m.send('L', "X-Recall-Policy", " pass\x00")
			}
			if m.send('N', ""); m.reply().code != want {
				t.Errorf("%d fields: not answered by %q", n, want)
			}
		})
	}
}

// A sender's wishes are taken out of what passes unheld in the same way.
func TestAMessageWithTooManyWishesIsRefused(t *testing.T) {
	for n, want := range map[int]byte{maxForged: 'c', maxForged + 1: 'y'} {
		bubble(t, func(r *rig) {
			m := r.mta()
			m.begin("a@corp.test", "b@x.test")
			for range n {
				m.send('L', "X-Hold-For", " 0\x00")
			}
			if m.send('N', ""); m.reply().code != want {
				t.Errorf("%d wishes: not answered by %q", n, want)
			}
		})
	}
}

// recorder is a gate that keeps what it is to judge.
type recorder struct{ judged []string }

func (*recorder) Examine(*inbound.Mail) inbound.Needs { return inbound.Needs{Body: 100} }
func (r *recorder) Judge(_ context.Context, m *inbound.Mail) inbound.Disposition {
	r.judged = append(r.judged, m.Sender.Address+" "+string(m.Body))
	return inbound.Disposition{}
}
func (*recorder) Remember(*inbound.Mail) {}

// A command is judged by all of its body, in however many frames it came.
func TestACommandThatComesInIsJudgedByItsBody(t *testing.T) {
	bubble(t, func(r *rig) {
		r.Policy = func() Policy {
			return verdicts(func(policy.Facts) policy.Verdict { return policy.Verdict{Inbound: true} })
		}
		gate := &recorder{}
		r.Inbound = gate
		m := r.mta()
		for _, pieces := range [][]string{{"one"}, {"on", "e"}, {"", "one"}, {"one", ""}} {
			m.begin("x@far.test", "bert@corp.test")
			m.header('c', "Subject: x")
			for _, piece := range pieces {
				m.ask('B', piece, 'c')
			}
			m.ask('E', " and", 'a')
		}
		if want := slices.Repeat([]string{"x@far.test one and"}, 4); !slices.Equal(gate.judged, want) {
			t.Errorf("judged are %q", gate.judged)
		}
	})
}
