package mailbox

import (
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// archives says whether the server only takes a label off what is expunged, and keeps the message, as Gmail does.
// Source: https://developers.google.com/workspace/gmail/imap/imap-extensions
func (o *box) archives() bool { return o.caps.Has("X-GM-EXT-1") }

// toTrash moves a copy to the server's trash, and looks that it is gone from everywhere else.
func (o *box) toTrash(t Target, c found, r Result, plan func(Result) error) (Result, bool, error) {
	listed, err := o.list("*")
	if err != nil {
		return r, false, err
	}
	trash, all := withAttr(listed, imap.MailboxAttrTrash), withAttr(listed, imap.MailboxAttrAll)
	if trash == "" {
		r.Outcome, r.Detail = Refused, "the mail server archives what is removed, and shows no trash"
		return r, false, nil
	}
	if o.s.p.DryRun {
		return tried(r), false, nil
	}
	r.Detail += "; now in the trash, where its user can still find it"
	r.Taken = takenAs(r.Outcome)
	if err := plan(r); err != nil {
		return r, false, err
	}
	if _, err := await(o, func() (*imapclient.MoveData, error) {
		return o.Move(imap.UIDSetNum(c.uid), trash).Wait()
	}); err != nil {
		return r, false, err
	}
	if all != "" {
		left, err := o.findIn(folder{name: all}, t)
		if err != nil {
			return r, false, err
		}
		if len(left) > 0 {
			r.Outcome, r.Detail, r.Taken = Refused, "the mail server keeps it among all mail", Nothing
			return r, false, nil
		}
	}
	return o.moved(t, trash, r)
}

// allMail takes copies that are only among all mail of a server that archives: those that their user has archived, and
// those that were not gone from there with the others. keeps: one is there still.
func (o *claws) allMail() (keeps bool, err error) {
	if !o.archives() || o.c.Folder != "" {
		return false, nil
	}
	listed, err := o.list("*")
	if err != nil {
		return false, err
	}
	all, others := withAttr(listed, imap.MailboxAttrAll), o.others
	if all == "" {
		return false, nil
	}
	for taken := false; ; taken = true {
		left, err := o.spots(all)
		if o.others = others; err != nil || len(left) == 0 || taken {
			return len(left) > 0, err
		}
		if o.c.DryRun && len(o.copies) > 0 { // all mail shows what is elsewhere as well
			return false, nil
		}
		todo := o.known(left)
		if o.c.DryRun {
			return false, nil
		}
		if err := o.note(o.copies); err != nil {
			return false, err
		}
		for _, n := range todo {
			if err := o.takeCopy(&o.copies[n]); err != nil {
				return false, err
			}
		}
	}
}

// known are the places of copies among those that are known; the others become known.
func (o *claws) known(found []spot) (places []int) {
	for _, f := range found {
		n := slices.IndexFunc(o.copies, func(c Copy) bool { return c.Folder == f.Folder && c.ID == f.ID })
		if n < 0 {
			n = len(o.copies)
			o.copies = append(o.copies, f.Copy)
		}
		o.copies[n].Gone = false
		places = append(places, n)
	}
	return places
}

// withAttr is the name of the folder with a special use (RFC 6154); empty: there is none.
func withAttr(listed []*imap.ListData, attr imap.MailboxAttr) string {
	for _, l := range listed {
		if slices.ContainsFunc(l.Attrs, func(have imap.MailboxAttr) bool {
			return strings.EqualFold(string(have), string(attr))
		}) {
			return l.Mailbox
		}
	}
	return ""
}
