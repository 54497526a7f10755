package milter

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/outlook"
	"github.com/recall-milter/recall-milter/internal/recall"
	"github.com/recall-milter/recall-milter/policy"
)

// clerk is a desk that does what the test says; mail to recall@ is for it alone, and so may be mail with X-Command.
type clerk struct {
	disposition func(m *recall.Mail) (recall.Disposition, error)
	got         []*recall.Mail
	held        []string
}

func (c *clerk) Examine(sub holdstore.Submission, fields []policy.Field) (of recall.Candidate) {
	for _, r := range sub.Recipients {
		if r.Address != "recall@corp.test" {
			of.Others = append(of.Others, r)
		}
	}
	switch {
	case len(of.Others) < len(sub.Recipients):
		of.Body = mailmsg.MaxBody
	case first(fields, "X-Command") != "":
		of.Body = outlook.MaxWinmail
	}
	of.May = of.Body > 0
	return of
}

func (c *clerk) Act(_ context.Context, m *recall.Mail) (recall.Disposition, error) {
	c.got = append(c.got, m)
	return c.disposition(m)
}

func (c *clerk) Held(_ context.Context, _ *recall.Mail, r holdstore.Committed) {
	c.held = append(c.held, r.ID)
}

// withClerk runs a test with a desk; its disposition keeps everybody but the recall address.
func withClerk(t *testing.T, test func(r *rig, c *clerk)) {
	bubble(t, func(r *rig) {
		c := &clerk{}
		c.disposition = func(m *recall.Mail) (recall.Disposition, error) {
			return recall.Disposition{Keep: c.Examine(m.Submission, m.Fields).Others}, nil
		}
		r.Commands = c
		r.Policy = func() Policy {
			return verdicts(func(f policy.Facts) policy.Verdict {
				v := holdAll(f)
				v.Outbound = f.Sender != ""
				return v
			})
		}
		test(r, c)
	})
}

func TestMailToTheRecallAddressIsTakenAndNotHeld(t *testing.T) {
	withClerk(t, func(r *rig, c *clerk) {
		m := r.mta()
		m.begin("a@corp.test", "recall@corp.test")
		m.header('c', "Subject: RECALL LAST")
		m.ask('B', "one ", 'c')
		m.ask('E', "two", 'd')
		if len(c.got) != 1 || string(c.got[0].Body) != "one two" || c.got[0].Subject != "RECALL LAST" ||
			len(r.store.holds) != 0 {
			t.Errorf("the desk got %+v, held are %d", c.got, len(r.store.holds))
		}
		m.message("next@corp.test", 'd')
		if len(r.store.holds) != 1 || len(c.got) != 1 || len(c.held) != 1 {
			t.Error("the message after it was not held as usual")
		}
	})
}

func TestOthersGetACommandWithoutTheRecallAddress(t *testing.T) {
	withClerk(t, func(r *rig, c *clerk) {
		m := r.mta()
		for _, large := range []bool{false, true} {
			m.begin("a@corp.test", "b@x.test", "recall@corp.test")
			m.header('c', "Subject: x")
			body := "body\r\n"
			if large {
				body = strings.Repeat("x", 300<<10)
				for range 3 {
					m.ask('B', body, 'c')
				}
			}
			m.ask('B', body, 'c')
			m.ask('E', "", 'd')
			h := r.store.holds[len(r.store.holds)-1]
			if len(h.sub.Recipients) != 1 || h.sub.Recipients[0].Address != "b@x.test" ||
				!strings.HasSuffix(h.body.String(), body) {
				t.Errorf("large %v: held %+v with %d bytes", large, h.sub, h.body.Len())
			}
			if large && h.body.Len() != 4*len(body) {
				t.Errorf("held are %d bytes, want %d", h.body.Len(), 4*len(body))
			}
			if got := c.got[len(c.got)-1]; got.Cut != large || len(got.Body) > mailmsg.MaxBody || len(got.Recipients) != 2 {
				t.Errorf("large %v: the desk got cut=%v, %d bytes, %d recipients", large, got.Cut, len(got.Body),
					len(got.Recipients))
			}
		}
	})
}

func TestACommandThatPassesUnheldLosesTheRecallAddress(t *testing.T) {
	withClerk(t, func(r *rig, _ *clerk) {
		m := r.mta()
		m.begin("a@corp.test", "recall@corp.test", "b@x.test")
		m.header('c', "X-Hold-For: 0")
		m.ask('B', "body\r\n", 'c')
		m.send('E')
		for _, want := range []string{"m", "-"} { // the wish and the recipient are removed
			if f := m.reply(); string(f.code) != want || f.code == '-' && string(f.data) != "<recall@corp.test>\x00" {
				t.Fatalf("got %q %q, want %s", f.code, f.data, want)
			}
		}
		if f := m.reply(); f.code != 'a' {
			t.Errorf("answered %q", f.code)
		}
	})
}

func TestWhatTheDeskDecidesIsDone(t *testing.T) {
	keep := func(addresses ...string) (paths []holdstore.Path) {
		for _, a := range addresses {
			paths = append(paths, holdstore.Path{Address: a})
		}
		return paths
	}
	for name, c := range map[string]struct {
		disposition recall.Disposition
		err         error
		want        byte
		held        int // recipients; 0: not held
	}{
		"swallowed":    {want: 'd'},
		"kept for one": {disposition: recall.Disposition{Keep: keep("b@x.test")}, want: 'd', held: 1},
		"kept for all": {disposition: recall.Disposition{Keep: keep("b@x.test", "c@x.test"), Replaces: []string{"OLD"}},
			want: 'd', held: 2},
		"refused":          {disposition: recall.Disposition{Refusal: "550 5.7.1 100% no"}, want: 'y'},
		"the store failed": {err: errors.New("away"), want: 'y'},
	} {
		t.Run(name, func(t *testing.T) {
			withClerk(t, func(r *rig, desk *clerk) {
				desk.disposition = func(*recall.Mail) (recall.Disposition, error) { return c.disposition, c.err }
				m := r.mta()
				m.begin("a@corp.test", "b@x.test", "c@x.test")
				m.header('c', "X-Command: yes")
				m.ask('B', "body\r\n", 'c')
				m.ask('E', "", c.want)
				switch {
				case len(r.store.holds) > 1 || len(r.store.holds) == 1 && len(r.store.holds[0].sub.Recipients) != c.held:
					t.Errorf("held: %+v", r.store.holds)
				case len(r.store.holds) == 0 && c.held > 0:
					t.Error("not held")
				}
			})
		})
	}
}

func TestAPanicAtTheDeskDefersTheMessage(t *testing.T) {
	withClerk(t, func(r *rig, c *clerk) {
		c.disposition = func(*recall.Mail) (recall.Disposition, error) { panic("x") }
		m := r.mta()
		m.begin("a@corp.test", "recall@corp.test")
		m.header('c', "Subject: x")
		m.ask('E', "", 'y')
		if r.log.count("deferred") != 1 {
			t.Errorf("the log: %q", r.log.lines)
		}
	})
}

// A command that the store could not hear of waits with its client, whatever becomes of other mail: nobody else would
// answer it.
func TestACommandIsNotLostWhileTheStoreIsAway(t *testing.T) {
	for name, c := range map[string]struct {
		to   []string
		want byte
	}{
		"a command":              {[]string{"recall@corp.test"}, 'y'},
		"a command, and to Bert": {[]string{"recall@corp.test", "b@x.test"}, 'y'},
		"what may be a command":  {[]string{"b@x.test"}, 'a'},
	} {
		t.Run(name, func(t *testing.T) {
			withClerk(t, func(r *rig, desk *clerk) {
				r.OnStoreFailure = "deliver"
				desk.disposition = func(*recall.Mail) (recall.Disposition, error) {
					return recall.Disposition{},
						errors.New("away")
				}
				m := r.mta()
				m.begin("a@corp.test", c.to...)
				m.header('c', "X-Command: yes")
				m.ask('E', "body\r\n", c.want)
			})
		})
	}
}

// What is left of a command that was done is mail like any other.
func TestTheRestOfACommandGoesOnWhileTheStoreIsAway(t *testing.T) {
	withClerk(t, func(r *rig, _ *clerk) {
		r.OnStoreFailure = "deliver"
		r.store.onCommit = func(context.Context) error { return errors.New("away") }
		m := r.mta()
		m.begin("a@corp.test", "recall@corp.test", "b@x.test")
		m.header('c', "Subject: x")
		m.send('E', "body\r\n")
		if f := m.reply(); f.code != '-' || string(f.data) != "<recall@corp.test>\x00" {
			t.Fatalf("got %q %q", f.code, f.data)
		}
		if f := m.reply(); f.code != 'a' {
			t.Errorf("answered %q", f.code)
		}
	})
}
