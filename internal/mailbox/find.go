package mailbox

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

const (
	maxFolders = 1000
	maxCopies  = 50  // that a search may propose in one folder, and that are looked at together
	clawCopies = 500 // the same for a claw back: whoever sends a message that often must not be safe from it
)

// found is one copy of the message.
type found struct {
	folder   folder
	validity uint32 // UIDs mean something only with it (RFC 3501 section 2.3.1.1)
	uid      imap.UID
}

// folder is one that the user calls their own.
type folder struct {
	name    string
	special imap.MailboxAttr // \Trash, \Junk, or empty
}

// of names a folder to who asked, without what only its user knows.
func (f folder) of() string {
	switch {
	case strings.EqualFold(f.name, "INBOX"):
		return "in the inbox"
	case f.special != "":
		return "in the folder " + strings.TrimPrefix(string(f.special), `\`)
	}
	return "in another folder than the inbox"
}

// find returns every copy of a message. skipped is a folder that could not be searched.
func (o *box) find(t Target) (all []found, skipped string, err error) {
	folders, err := o.folders()
	if err != nil {
		return nil, "", err
	}
	for _, f := range folders {
		copies, err := o.findIn(f, t)
		if err != nil && refusal(err) != "" { // gone meanwhile, or closed to its own user
			skipped = f.name
			continue
		}
		if err != nil {
			return nil, "", err
		}
		all = append(all, copies...)
	}
	if len(all) == 0 && skipped == "" && o.archives() { // its user may have archived it
		if all, err = o.findArchived(t); err != nil {
			return nil, "", err
		}
	}
	return all, skipped, nil
}

// findArchived returns what is among all mail of a server that archives.
func (o *box) findArchived(t Target) ([]found, error) {
	listed, err := o.list("*")
	if err != nil {
		return nil, err
	}
	name := withAttr(listed, imap.MailboxAttrAll)
	if name == "" {
		return nil, nil
	}
	return o.findIn(folder{name: name, special: imap.MailboxAttrAll}, t)
}

// folders lists the user's own, the inbox first. Folders of others and shared ones are not theirs, and folders that
// show what is elsewhere hold nothing (RFC 6154: \All, \Flagged).
func (o *box) folders() ([]folder, error) {
	listed, err := o.list("*")
	if err != nil {
		return nil, err
	}
	foreign, err := o.foreign()
	if err != nil {
		return nil, err
	}
	var all []folder
	for _, l := range listed {
		if hidden(l.Attrs) || slices.ContainsFunc(foreign,
			func(prefix string) bool { return strings.HasPrefix(l.Mailbox, prefix) }) {
			continue
		}
		f := folder{name: l.Mailbox}
		for _, a := range []imap.MailboxAttr{imap.MailboxAttrTrash, imap.MailboxAttrJunk} {
			if slices.ContainsFunc(l.Attrs, func(have imap.MailboxAttr) bool {
				return strings.EqualFold(string(have),
					string(a))
			}) {
				f.special = a
			}
		}
		all = append(all, f)
	}
	slices.SortStableFunc(all, func(a, b folder) int { return inboxFirst(a.name) - inboxFirst(b.name) })
	if len(all) > maxFolders {
		return nil, fmt.Errorf("there are %d folders, more than %d", len(all), maxFolders)
	}
	return all, nil
}

// list lists the folders with such a name, which may have "*" in it.
func (o *box) list(name string) ([]*imap.ListData, error) {
	return await(o, func() ([]*imap.ListData, error) { return o.List("", name, nil).Collect() })
}

func (o *box) spaces() (*imap.NamespaceData, error) {
	return await(o, func() (*imap.NamespaceData, error) { return o.Namespace().Wait() })
}

func inboxFirst(name string) int {
	if strings.EqualFold(name, "INBOX") {
		return 0
	}
	return 1
}

func hidden(attrs []imap.MailboxAttr) bool {
	return slices.ContainsFunc(attrs, func(a imap.MailboxAttr) bool {
		switch strings.ToLower(string(a)) {
		case `\noselect`, `\nonexistent`, `\all`, `\flagged`:
			return true
		}
		return false
	})
}

// foreign returns the prefixes of folders that belong to others (RFC 2342).
func (o *box) foreign() (prefixes []string, err error) {
	if !o.caps.Has(imap.CapNamespace) && !o.caps.Has(imap.CapIMAP4rev2) {
		return nil, nil
	}
	spaces, err := o.spaces()
	if err != nil {
		return nil, err
	}
	for _, n := range slices.Concat(spaces.Other, spaces.Shared) {
		if n.Prefix != "" {
			prefixes = append(prefixes, n.Prefix)
		}
	}
	return prefixes, nil
}

// findIn looks at a folder without changing it.
func (o *box) findIn(f folder, t Target) ([]found, error) {
	validity, err := o.selects(f.name, true)
	if err != nil {
		return nil, err
	}
	uids, err := o.propose(t, maxCopies)
	if err != nil || len(uids) == 0 {
		return nil, err
	}
	messages, err := await(o, func() ([]*imapclient.FetchMessageBuffer, error) {
		return o.Fetch(imap.UIDSetNum(uids...), &imap.FetchOptions{UID: true,
			BodySection: []*imap.FetchItemBodySection{identity, t.trace()}}).Collect()
	})
	if err != nil {
		return nil, err
	}
	var all []found
	for _, m := range messages {
		if slices.Contains(uids, m.UID) && t.is(m.FindBodySection(identity), m.FindBodySection(t.trace())) {
			all = append(all, found{f, validity, m.UID})
		}
	}
	return all, nil
}

// propose searches; IMAP finds parts of a Message-ID too. A message is never in the mailbox before it came in; the two
// days are for time zones and clocks.
func (o *box) propose(t Target, most int) ([]imap.UID, error) {
	wanted := &imap.SearchCriteria{Header: []imap.SearchCriteriaHeaderField{{Key: "Message-ID",
		Value: searchable(t.MessageID)}}}
	if !t.Received.IsZero() {
		wanted.Since = t.Received.UTC().Add(-48 * time.Hour)
	}
	data, err := await(o, func() (*imap.SearchData, error) { return o.UIDSearch(wanted, nil).Wait() })
	if err != nil {
		return nil, err
	}
	set, _ := data.All.(imap.UIDSet)
	return few(set, most)
}

// searchable is the longest part of a Message-ID that a server reads as it was written: it may decode encoded words
// (RFC 2047) and 8-bit text before it searches, and the message may have more blanks than MessageID leaves.
func searchable(id string) (longest string) {
	start, end := strings.Index(id, "=?"), strings.LastIndex(id, "?=")
	if start >= 0 && end > start {
		id = id[:start] + " " + id[end+len("?="):]
	}
	for _, part := range strings.FieldsFunc(id, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		if len(part) > len(longest) {
			longest = part
		}
	}
	return longest
}

// few returns the UIDs of a set. A server may say "1:*", or all four thousand million: that is no answer.
func few(set imap.UIDSet, most int) (uids []imap.UID, err error) {
	for _, r := range set {
		if r.Start == 0 || r.Stop < r.Start || uint64(len(uids))+uint64(r.Stop-r.Start) >= uint64(most) {
			return nil, fmt.Errorf("more than %d messages of one folder look like it", most)
		}
		for uid := r.Start; uid <= r.Stop && uid != 0; uid++ {
			uids = append(uids, uid)
		}
	}
	return uids, nil
}

// selects opens a folder and returns the validity of its UIDs.
func (o *box) selects(name string, readOnly bool) (validity uint32, err error) {
	data, err := await(o, func() (*imap.SelectData, error) {
		return o.Select(name, &imap.SelectOptions{ReadOnly: readOnly, CondStore: !readOnly && o.knowsChanges()}).Wait()
	})
	if err != nil {
		return 0, err
	}
	return data.UIDValidity, nil
}
