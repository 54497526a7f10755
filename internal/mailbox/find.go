package mailbox

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
)

const (
	maxFolders = 1000
	maxCopies  = 50 // that a search may propose in one folder
)

// found is one copy of the message.
type found struct {
	folder   folder
	validity uint32 // UIDs mean something only with it (RFC 3501 section 2.3.1.1)
	uid      imap.UID
}

// folder is one that the user calls his own.
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
		if err != nil && refusal(err) != "" { // gone meanwhile, or closed to the user himself
			skipped = f.name
			continue
		}
		if err != nil {
			return nil, "", err
		}
		all = append(all, copies...)
	}
	return all, skipped, nil
}

// folders lists the user's own, the inbox first. Folders of others and shared ones are not his, and folders that show
// what is elsewhere hold nothing (RFC 6154: \All, \Flagged).
func (o *box) folders() ([]folder, error) {
	listed, err := o.List("", "*", nil).Collect()
	if err != nil {
		return nil, err
	}
	foreign, err := o.foreign()
	if err != nil {
		return nil, err
	}
	var all []folder
	for _, l := range listed {
		if hidden(l.Attrs) || slices.ContainsFunc(foreign, func(prefix string) bool { return strings.HasPrefix(l.Mailbox, prefix) }) {
			continue
		}
		f := folder{name: l.Mailbox}
		for _, a := range []imap.MailboxAttr{imap.MailboxAttrTrash, imap.MailboxAttrJunk} {
			if slices.ContainsFunc(l.Attrs, func(have imap.MailboxAttr) bool { return strings.EqualFold(string(have), string(a)) }) {
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
	spaces, err := o.Namespace().Wait()
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
	uids, err := o.propose(t)
	if err != nil || len(uids) == 0 {
		return nil, err
	}
	if len(uids) > maxCopies {
		return nil, fmt.Errorf("%d messages of one folder look like it, more than %d", len(uids), maxCopies)
	}
	messages, err := o.Fetch(imap.UIDSetNum(uids...), &imap.FetchOptions{UID: true,
		BodySection: []*imap.FetchItemBodySection{identity, trace}}).Collect()
	if err != nil {
		return nil, err
	}
	var all []found
	for _, m := range messages {
		if slices.Contains(uids, m.UID) && t.is(m.FindBodySection(identity), m.FindBodySection(trace)) {
			all = append(all, found{f, validity, m.UID})
		}
	}
	return all, nil
}

// propose searches; IMAP finds parts of a Message-ID too. A message is never in the mailbox before it came in; the two
// days are for time zones and clocks.
func (o *box) propose(t Target) ([]imap.UID, error) {
	wanted := &imap.SearchCriteria{Header: []imap.SearchCriteriaHeaderField{{Key: "Message-ID", Value: t.MessageID}}}
	if !t.Received.IsZero() {
		wanted.Since = t.Received.UTC().Add(-48 * time.Hour)
	}
	data, err := o.UIDSearch(wanted, nil).Wait()
	if err != nil {
		return nil, err
	}
	return data.AllUIDs(), nil
}

// selects opens a folder and returns the validity of its UIDs.
func (o *box) selects(name string, readOnly bool) (validity uint32, err error) {
	data, err := o.Select(name, &imap.SelectOptions{ReadOnly: readOnly, CondStore: !readOnly && o.knowsChanges()}).Wait()
	if err != nil {
		return 0, err
	}
	return data.UIDValidity, nil
}
