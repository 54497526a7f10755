package mailbox

import (
	"errors"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// touches are the flags that tell that its user has seen a message.
var touches = []struct {
	flag imap.Flag
	why  string
}{
	{imap.FlagAnswered, "answered"}, {imap.FlagForwarded, "forwarded"}, {imap.FlagSeen, "read"}, {imap.FlagFlagged,
		"flagged"},
}

// touched says what its user did with a message; empty: nothing.
func touched(flags []imap.Flag) string {
	for _, t := range touches {
		if has(flags, t.flag) {
			return t.why
		}
	}
	return ""
}

func has(flags []imap.Flag, f imap.Flag) bool {
	return slices.ContainsFunc(flags, func(have imap.Flag) bool { return strings.EqualFold(string(have), string(f)) })
}

// look returns the flags of a copy now.
func (o *box) look(c found) (now state, there bool, err error) {
	messages, err := await(o, func() ([]*imapclient.FetchMessageBuffer, error) {
		return o.Fetch(imap.UIDSetNum(c.uid), &imap.FetchOptions{UID: true, Flags: true, ModSeq: o.knowsChanges()}).Collect()
	})
	if err != nil {
		return state{}, false, err
	}
	for _, m := range messages {
		if m.UID == c.uid {
			return state{flags: m.Flags, changed: m.ModSeq}, true, nil
		}
	}
	return state{}, false, nil
}

// mark marks a copy as deleted, and looks whether its user was faster: then the mark is taken back. With CONDSTORE (RFC
// 7162) a copy that changed since isn't marked at all.
func (o *box) mark(c found, since state) (again bool, err error) {
	if err := o.store(c, imap.StoreFlagsAdd, since.changed); err != nil {
		return false, err
	}
	now, there, err := o.look(c)
	switch {
	case err != nil:
		return false, err
	case there && touched(now.flags) != "" && touched(since.flags) == "":
		return true, o.unmark(c)
	case there && !has(now.flags, imap.FlagDeleted):
		return true, nil
	}
	return false, nil
}

func (o *box) unmark(c found) error { return o.store(c, imap.StoreFlagsDel, 0) }

// store sets or takes the mark of a copy; unless it is 0, only while the copy is as it was at a mod-sequence.
func (o *box) store(c found, op imap.StoreFlagsOp, unchanged uint64) error {
	return o.do(func() error {
		return o.Store(imap.UIDSetNum(c.uid), &imap.StoreFlags{Op: op, Silent: true, Flags: []imap.Flag{imap.FlagDeleted}},
			&imap.StoreOptions{UnchangedSince: unchanged}).Close()
	})
}

// expunge removes a marked copy, and no other that its user has marked.
func (o *box) expunge(c found, r Result) (Result, bool, error) {
	if err := o.do(func() error { return o.UIDExpunge(imap.UIDSetNum(c.uid)).Close() }); err != nil {
		return r, false, err
	}
	_, there, err := o.look(c)
	if there {
		r.Outcome, r.Detail, r.Taken = Refused, "the mail server keeps it", Nothing
		return r, false, o.unmark(c)
	}
	return r, false, err
}

// move moves a copy to a folder of the policy, which is made when it is missing.
func (o *box) move(t Target, c found, target string, r Result) (Result, bool, error) {
	target, err := o.named(target)
	if c.folder.name == target { // an earlier try moved it
		r.Taken = takenAs(r.Outcome)
	}
	if err != nil || c.folder.name == target {
		return r, false, err
	}
	if o.s.p.DryRun {
		return tried(r), false, nil
	}
	if !o.canMove() {
		r.Outcome, r.Detail = Refused, "the mail server can't move one message alone"
		return r, false, nil
	}
	if err := o.create(target); err != nil {
		return r, false, err
	}
	if _, err := await(o, func() (*imapclient.MoveData,
		error) {
		return o.Move(imap.UIDSetNum(c.uid), target).Wait()
	}); err != nil {
		return r, false, err
	}
	r.Detail += "; moved by the policy"
	r.Taken = takenAs(r.Outcome)
	return o.moved(t, target, r)
}

// moved looks at a copy where it is now: its flags went with it, so they tell whether its user read it while it was
// being moved.
func (o *box) moved(t Target, target string, r Result) (Result, bool, error) {
	copies, err := o.findIn(folder{name: target}, t)
	if err != nil {
		return r, false, err
	}
	for _, c := range copies {
		now, _, err := o.look(c)
		if err != nil {
			return r, false, err
		}
		if why := touched(now.flags); why != "" && r.Outcome != Read {
			r.Outcome, r.Detail, r.Taken = Read, why+" at the last moment; moved by the policy", TakenRead
		}
	}
	return r, false, nil
}

// named is a folder of the policy as this server writes it: below the user's own namespace, with its delimiter for "/".
func (o *box) named(target string) (string, error) {
	if !o.caps.Has(imap.CapNamespace) && !o.caps.Has(imap.CapIMAP4rev2) {
		return target, nil
	}
	spaces, err := o.spaces()
	if err != nil || len(spaces.Personal) == 0 {
		return target, err
	}
	own := spaces.Personal[0]
	if own.Delim != 0 {
		target = strings.ReplaceAll(target, "/", string(own.Delim))
	}
	if strings.EqualFold(target, "INBOX") || strings.HasPrefix(target, own.Prefix) {
		return target, nil
	}
	return own.Prefix + target, nil
}

// create makes a folder that its user will see; one that is there is all right.
func (o *box) create(name string) error {
	there, err := o.list(name)
	if err != nil || len(there) > 0 {
		return err
	}
	var said *imap.Error
	err = o.do(func() error { return o.Create(name, nil).Wait() })
	if err != nil && !(errors.As(err, &said) && said.Code == imap.ResponseCodeAlreadyExists) {
		return err
	}
	return o.do(func() error { return o.Subscribe(name).Wait() })
}
