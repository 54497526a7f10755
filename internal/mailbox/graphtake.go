package mailbox

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/recall-milter/recall-milter/internal/mark"
)

// recoverable is the folder of what was deleted: its user can get a message back from there for some days, unless it is
// deleted for good. https://learn.microsoft.com/graph/api/resources/mailfolder
const recoverable = "recoverableitemsdeletions"

// lastVerb is the property with what its user did last with a message (MS-OXOMSG section 2.2.1.21): 102 and 103 are
// replies, 104 is a forward.
const lastVerb = "Integer 0x1081"

// graphMessage is one copy of a message.
type graphMessage struct {
	ID      string `json:"id"`
	Folder  string `json:"parentFolderId"`
	IsDraft bool   `json:"isDraft"`
	IsRead  bool   `json:"isRead"`
	Flag    struct {
		Status string `json:"flagStatus"`
	} `json:"flag"`
	Headers []struct{ Name, Value string } `json:"internetMessageHeaders"`
	More    []struct{ ID, Value string }   `json:"singleValueExtendedProperties"`

	other bool // it has another content than the one that is meant
}

// looked is the query that brings all that tells whether a copy is meant, and what its user did with it.
var looked = url.Values{
	"$select": {"id,parentFolderId,isDraft,isRead,flag,internetMessageHeaders"},
	"$expand": {"singleValueExtendedProperties($filter=id eq '" + lastVerb + "')"},
}

// touched says what its user did with a copy; empty: nothing.
func (m *graphMessage) touched() string {
	for _, p := range m.More {
		switch {
		case !strings.EqualFold(p.ID, lastVerb):
		case p.Value == "102" || p.Value == "103":
			return "answered"
		case p.Value == "104":
			return "forwarded"
		}
	}
	switch {
	case m.IsRead:
		return "read"
	case m.Flag.Status != "" && m.Flag.Status != "notFlagged":
		return "flagged"
	}
	return ""
}

// is says whether a copy is the target, as Target.is does.
func (m *graphMessage) is(t Target) bool {
	var header, trace bytes.Buffer
	for _, f := range m.Headers {
		value := strings.Map(func(c rune) rune {
			if c == '\r' || c == '\n' {
				return ' '
			}
			return c
		}, f.Value)
		switch strings.ToLower(f.Name) {
		case "message-id", "from", "date":
			fmt.Fprintf(&header, "%s: %s\r\n", f.Name, value)
		case "received", "delivered-to", strings.ToLower(mark.Field):
			fmt.Fprintf(&trace, "%s: %s\r\n", f.Name, value)
		}
	}
	return !m.IsDraft && t.is(header.Bytes(), trace.Bytes())
}

// take treats every copy of the message.
func (o *graphBox) take(t Target, plan func(Result) error) (Result, error) {
	copies, err := o.find(t)
	if err != nil || len(copies) == 0 {
		return Result{Outcome: NotFound}, err
	}
	var all []Result
	for _, c := range copies {
		where, err := o.whereIs(c)
		if err != nil {
			return Result{}, err
		}
		r, err := o.takeOne(c, where, func(r Result) error { return plan(combined(append(slices.Clone(all), r))) })
		if said := new(graphError); errors.As(err, &said) && said.gone() {
			r, err = Result{Outcome: NotFound, Detail: "its user has just removed it"}, nil
		}
		if err != nil {
			return Result{}, err
		}
		all = append(all, r)
	}
	return combined(all), nil
}

// find returns every copy of a message.
func (o *graphBox) find(t Target) ([]*graphMessage, error) {
	all, err := o.list(t.MessageID)
	return slices.DeleteFunc(all, func(m *graphMessage) bool { return !m.is(t) }), err
}

// list returns the messages with a Message-ID: a mailbox's messages are those of all its folders.
func (o *graphBox) list(messageID string) (all []*graphMessage, err error) {
	at := o.at(url.Values{"$select": {"id"}, "$top": {"50"},
		"$filter": {"internetMessageId eq '" + strings.ReplaceAll(messageID, "'", "''") + "'"}}, "messages")
	var ids []string
	for at != "" {
		var page struct {
			Value []struct{ ID string }
			Next  string `json:"@odata.nextLink"`
		}
		if err := o.call(http.MethodGet, at, nil, &page); err != nil {
			return nil, err
		}
		for _, m := range page.Value {
			ids = append(ids, m.ID)
		}
		if len(ids) > maxCopies || page.Next == at {
			return nil, fmt.Errorf("more than %d messages look like it", maxCopies)
		}
		if at = page.Next; at != "" && !strings.HasPrefix(at, o.s.Address+"/") {
			return nil, errors.New("the next page of the answer is at another server")
		}
	}
	for _, id := range ids {
		m := &graphMessage{}
		err := o.call(http.MethodGet, o.at(looked, "messages", id), nil, m)
		if said := new(graphError); errors.As(err, &said) && said.gone() {
			continue
		}
		if err != nil {
			return nil, err
		}
		if m.ID == id {
			all = append(all, m)
		}
	}
	return all, nil
}

// takeOne does with one copy what the policy says.
func (o *graphBox) takeOne(c *graphMessage, where string, plan func(Result) error) (Result, error) {
	policy, r := o.p.Unread, Result{Outcome: Retracted, Detail: "unread, " + where, Folder: c.Folder}
	if why := c.touched(); why != "" {
		policy, r.Outcome, r.Detail = o.p.Read, Read, why+", "+where
	}
	target, move := strings.CutPrefix(policy, "move:")
	switch {
	case policy == "keep":
		return r, nil
	case move && r.Outcome != Read:
		r.Outcome = Moved
	}
	if o.p.DryRun {
		return tried(r), nil
	}
	r.Taken = takenAs(r.Outcome)
	if move {
		return o.move(c, target, r)
	}
	if err := plan(r); err != nil {
		return r, err
	}
	return o.remove(c, r)
}

// remove moves a copy out of its user's sight, and looks at it there: whoever read it at the last moment gets it back,
// unless the policy is to take read mail as well.
func (o *graphBox) remove(c *graphMessage, r Result) (Result, error) {
	now, err := o.moveTo(c, recoverable)
	if err != nil {
		return r, err
	}
	if why := now.touched(); why != "" && r.Outcome != Read {
		r.Outcome, r.Detail, r.Taken = Read, why+" at the last moment", TakenRead
		if o.p.Read == "keep" {
			r.Taken = Nothing
			_, err := o.moveTo(now, c.Folder)
			return r, err
		}
	}
	if r.Outcome == Read {
		r.Detail += "; removed by the policy"
	}
	err = o.call(http.MethodPost, o.at(nil, "messages", now.ID, "permanentDelete"), nil, nil)
	if said := new(graphError); err != nil && !(errors.As(err, &said) && said.gone()) {
		r.Detail += "; its user can still recover it from the deleted items of the server"
	}
	return r, nil
}

// move moves a copy to a folder of the policy, which is made when it is missing.
func (o *graphBox) move(c *graphMessage, target string, r Result) (Result, error) {
	folder, err := o.named(target)
	if err != nil || folder == c.Folder { // an earlier try moved it
		return r, err
	}
	now, err := o.moveTo(c, folder)
	if err != nil {
		return r, err
	}
	r.Detail += "; moved by the policy"
	if why := now.touched(); why != "" && r.Outcome != Read {
		r.Outcome, r.Detail, r.Taken = Read, why+" at the last moment; moved by the policy", TakenRead
	}
	return r, nil
}

// moveTo moves a copy, and looks at it where it is now.
func (o *graphBox) moveTo(c *graphMessage, folder string) (*graphMessage, error) {
	var moved, now graphMessage
	if err := o.call(http.MethodPost, o.at(nil, "messages", c.ID, "move"), map[string]string{"destinationId": folder},
		&moved); err != nil {
		return nil, err
	}
	if err := o.call(http.MethodGet, o.at(looked, "messages", moved.ID), nil, &now); err != nil {
		return nil, err
	}
	return &now, nil
}

// whereIs names the folder of a copy to who asked, without what only its user knows.
func (o *graphBox) whereIs(c *graphMessage) (string, error) {
	for _, known := range []struct{ folder, name string }{{"inbox", "in the inbox"},
		{"junkemail", "in the folder Junk"}, {"deleteditems", "in the folder Trash"}} {
		id, err := o.folder(known.folder)
		if err != nil || id == c.Folder {
			return known.name, err
		}
	}
	return "in another folder than the inbox", nil
}

// graphFolder is a folder of a mailbox.
type graphFolder struct {
	ID   string `json:"id"`
	Name string `json:"displayName,omitempty"`
}

// folder returns the ID of a folder that every mailbox has.
func (o *graphBox) folder(known string) (string, error) {
	var f graphFolder
	err := o.call(http.MethodGet, o.at(url.Values{"$select": {"id"}}, "mailFolders", known), nil, &f)
	return f.ID, err
}

// named returns the ID of a folder by its name, with "/" between a folder and one in it; what is missing is made.
func (o *graphBox) named(name string) (id string, err error) {
	id = "msgfolderroot"
	for _, part := range strings.Split(name, "/") {
		at := []string{"mailFolders", id, "childFolders"}
		var there struct{ Value []graphFolder }
		err := o.call(http.MethodGet, o.at(url.Values{"$select": {"id,displayName"},
			"$filter": {"displayName eq '" + strings.ReplaceAll(part, "'", "''") + "'"}}, at...), nil, &there)
		if err != nil {
			return "", err
		}
		if len(there.Value) > 0 {
			id = there.Value[0].ID
			continue
		}
		var made graphFolder
		if err := o.call(http.MethodPost, o.at(nil, at...), map[string]string{"displayName": part}, &made); err != nil {
			return "", err
		}
		id = made.ID
	}
	return id, nil
}
