package mailbox

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/textproto"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/recall-milter/recall-milter/internal/fingerprint"
	"github.com/recall-milter/recall-milter/policy"
)

// ClawBack is Backend.ClawBack.
func (b *IMAP) ClawBack(ctx context.Context, c Claw, plan []Copy, note func([]Copy) error) (r Clawed, err error) {
	return b.clawing(ctx, c, func(o *claws) (err error) {
		o.copies, o.note, o.again = slices.Clone(plan), note, plan != nil
		r, err = o.takeAll()
		return err
	}, &r)
}

// GiveBack is Backend.GiveBack.
func (b *IMAP) GiveBack(ctx context.Context, c Claw, copies []Copy, note func([]Copy) error) (r Clawed, err error) {
	return b.clawing(ctx, c, func(o *claws) (err error) {
		o.copies, o.note = slices.Clone(copies), note
		o.c.Changed = true // they are known by their IDs
		r, err = o.giveAll()
		return err
	}, &r)
}

// clawing opens the mailbox for a claw back, whose result is r.
func (b *IMAP) clawing(ctx context.Context, c Claw, work func(*claws) error, r *Clawed) (Clawed, error) {
	c.DryRun = c.DryRun || b.p.DryRun
	if defect := b.s.defect(c.Recipient, strings.ReplaceAll(c.MessageID, "\uFFFD", "?")); defect != "" {
		return Clawed{Outcome: NotFound, Detail: defect}, nil
	}
	err := b.inside(ctx, c.Recipient, c.MessageID, func(o *box) error { return work(&claws{box: o, c: c}) })
	switch why := refusal(err); {
	case errors.Is(err, errNoMailbox):
		return Clawed{Outcome: NotFound, Detail: errNoMailbox.Error()}, nil
	case err != nil && why != "":
		return Clawed{Outcome: Refused, Detail: why}, nil
	case err != nil:
		return Clawed{}, err
	}
	return *r, nil
}

// claws is a claw back in an open mailbox.
type claws struct {
	*box
	c      Claw
	copies []Copy
	note   func([]Copy) error
	again  bool   // an earlier try has told what it was about to do
	target string // folder where copies go; empty: they are deleted
	others int
}

// clawIdentity is what is asked for to know a message; clawBody tells its content.
var (
	clawIdentity = section(32<<10, "MESSAGE-ID", "FROM", "DATE", "SUBJECT")
	clawBody     = &imap.FetchItemBodySection{Specifier: imap.PartSpecifierText, Peek: true,
		Partial: &imap.SectionPartial{Size: fingerprint.MaxBody}}
)

// meant says whether a message has the Message-ID and came by mail, and if so, whether its content is the one. One with
// several Message-IDs is none of them.
func (c Claw) meant(m *imapclient.FetchMessageBuffer) (named, is, alone bool) {
	header := append(bytes.Clone(m.FindBodySection(clawIdentity)), "\r\n\r\n"...)
	fields, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(header))).ReadMIMEHeader()
	if err != nil || len(bytes.TrimSpace(m.FindBodySection(trace))) == 0 {
		return false, false, false
	}
	ids := fields.Values("Message-ID") // the store has U+FFFD for each byte that is not UTF-8
	if !slices.ContainsFunc(ids, func(id string) bool { return string([]rune(policy.MessageID(id))) == c.MessageID }) {
		return false, false, false
	}
	alone = len(ids) == 1
	if c.Print == (fingerprint.Print{}) {
		return true, alone, alone
	}
	var body fingerprint.Body
	body.Write(m.FindBodySection(clawBody))
	return true, fingerprint.OfHeader(fields.Values) == c.Print.Header &&
		(c.Print.Body == "" || c.Print.Body == body.Sum()), alone
}

// spot is a copy that was found.
type spot struct {
	Copy
	uid imap.UID
}

// spots looks into one folder. It changes nothing there.
func (o *claws) spots(name string) (all []spot, err error) {
	validity, err := o.selects(name, true)
	if err != nil {
		return nil, err
	}
	uids, err := o.propose(Target{MessageID: o.c.MessageID, Received: o.c.Received}, clawCopies)
	if err != nil {
		return nil, err
	}
	for some := range slices.Chunk(uids, maxCopies) {
		messages, err := await(o.box, func() ([]*imapclient.FetchMessageBuffer, error) {
			return o.Fetch(imap.UIDSetNum(some...), &imap.FetchOptions{UID: true, Flags: true,
				BodySection: []*imap.FetchItemBodySection{clawIdentity, trace, clawBody}}).Collect()
		})
		if err != nil {
			return nil, err
		}
		all = append(all, o.sift(messages, some, name, validity)...)
	}
	return all, nil
}

// sift returns which of some messages that were asked for are to be taken, and counts the others with the Message-ID.
func (o *claws) sift(messages []*imapclient.FetchMessageBuffer, uids []imap.UID, name string, validity uint32) (
	all []spot) {
	for _, m := range messages {
		named, is, alone := o.c.meant(m)
		switch {
		case !slices.Contains(uids, m.UID) || !named:
		case !is && !(o.c.Changed && alone):
			o.others++
		default:
			all = append(all, spot{Copy{Folder: name, ID: spotID(validity, m.UID), Seen: touched(m.Flags), Other: !is},
				m.UID})
		}
	}
	return all
}

// spotID names a message in a folder: UIDs mean something only with their validity (RFC 3501 section 2.3.1.1).
func spotID(validity uint32, uid imap.UID) string { return fmt.Sprintf("%d/%d", validity, uid) }

func readSpotID(id string) (validity uint32, uid imap.UID) {
	var n uint32
	_, _ = fmt.Sscanf(id, "%d/%d", &validity, &n)
	return validity, imap.UID(n)
}

// everywhere looks into all of the user's own folders.
func (o *claws) everywhere() (all []spot, err error) {
	folders, err := o.folders()
	if err != nil {
		return nil, err
	}
	for _, f := range folders {
		some, err := o.spots(f.name)
		if err != nil && refusal(err) != "" { // gone meanwhile, or closed to its own user
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// takeAll takes every copy out.
func (o *claws) takeAll() (Clawed, error) {
	if err := o.aim(); err != nil {
		return Clawed{}, err
	}
	found, err := o.everywhere()
	if err != nil {
		return Clawed{}, err
	}
	todo, others := o.sort(found), o.others
	if o.c.DryRun {
		_, err := o.allMail()
		return o.c.outcome(o.copies, others), err
	}
	if len(todo) > 0 {
		if why := o.unable(); why != "" {
			return Clawed{Outcome: Refused, Detail: why, Others: others}, nil
		}
		if err := o.note(o.copies); err != nil {
			return Clawed{}, err
		}
		if o.target != "" {
			if err := o.create(o.target); err != nil {
				return Clawed{}, err
			}
		}
	}
	for n, i := range todo {
		if err := o.takeCopy(&o.copies[i]); err != nil {
			return Clawed{}, err
		}
		if n < len(todo)-1 { // of several, each knows where it was from
			if err := o.note(o.copies); err != nil {
				return Clawed{}, err
			}
		}
	}
	keeps, err := o.allMail()
	if err != nil {
		return Clawed{}, err
	}
	r := o.c.outcome(o.copies, others)
	if keeps {
		r.Outcome, r.Detail, r.Taken = Refused, "the mail server keeps it among all mail", Nothing
	}
	return r, nil
}

// aim says where copies go.
func (o *claws) aim() (err error) {
	switch {
	case o.c.Folder != "":
		o.target, err = o.named(o.c.Folder)
		return err
	case o.c.Delete && !o.archives():
		return nil
	}
	o.c.Delete = false // the trash is the most that a server does that archives
	listed, err := o.list("*")
	if err != nil {
		return err
	}
	if o.target = withAttr(listed, imap.MailboxAttrTrash); o.target != "" {
		return nil
	}
	for _, usual := range []string{"Trash", "Deleted Items", "Deleted Messages"} {
		if o.target, err = o.named(usual); err != nil {
			return err
		}
		if slices.ContainsFunc(listed, func(l *imap.ListData) bool { return l.Mailbox == o.target }) {
			return nil
		}
	}
	o.target, err = o.named("Trash")
	return err
}

// unable says why the server can't do it; empty: it can.
func (o *claws) unable() string {
	switch {
	case o.target == "" && !o.canExpunge():
		return "the mail server can't remove one message alone"
	case o.target != "" && !o.canMove():
		return "the mail server can't move one message alone"
	}
	return ""
}

// sort compares what was found with what an earlier try was about to do, and returns which copies are still to be
// taken. A try that ended between the act and its note has left copies in the target that no note names.
func (o *claws) sort(found []spot) (todo []int) {
	here, arrived := map[string]bool{}, []spot{}
	for _, f := range found {
		at := f.Folder + "\n" + f.ID
		known := slices.ContainsFunc(o.copies, func(c Copy) bool {
			return c.Folder+"\n"+c.ID == at || c.To+"\n"+c.Now == at
		})
		switch {
		case known && f.Folder != o.target:
			here[at] = true
		case known:
		case f.Folder == o.target && o.again:
			arrived = append(arrived, f)
		case f.Folder == o.target:
			f.Stays = true
			o.copies = append(o.copies, f.Copy)
		default:
			here[at] = true
			o.copies = append(o.copies, f.Copy)
		}
	}
	open := func(c Copy) bool { return !c.Stays && !c.Gone && c.Now == "" }
	for _, gone := range []bool{true, false} { // those first that are not where they were
		for n := range o.copies {
			c := &o.copies[n]
			if open(*c) && here[c.Folder+"\n"+c.ID] != gone && len(arrived) > 0 {
				c.To, c.Now, arrived = o.target, arrived[0].ID, arrived[1:]
			}
		}
	}
	for _, f := range arrived {
		f.Stays = true
		o.copies = append(o.copies, f.Copy)
	}
	for n := range o.copies {
		c := &o.copies[n]
		switch at := here[c.Folder+"\n"+c.ID]; {
		case c.Stays:
		case at: // also one that is in the target as well, because its move was cut off
			todo = append(todo, n)
		case c.Now == "" && o.target != "":
			c.Gone = true
		}
	}
	return todo
}

// takeCopy moves or deletes one copy. One that is in the target already is only taken away from where it was.
func (o *claws) takeCopy(c *Copy) error {
	validity, uid := readSpotID(c.ID)
	is, err := o.selects(c.Folder, false)
	if err != nil {
		return err
	}
	if is != validity {
		return errors.New("the folder was rebuilt while it was looked at")
	}
	if o.target == "" || c.Now != "" {
		return o.erase(found{folder{name: c.Folder}, validity, uid})
	}
	c.Now, err = o.moveSpot(uid, c.Folder, o.target)
	c.To, c.Gone = o.target, c.Now == ""
	return err
}

// erase removes one message for good.
func (o *claws) erase(c found) error {
	if err := o.store(c, imap.StoreFlagsAdd, 0); err != nil {
		return err
	}
	r, _, err := o.expunge(c, Result{})
	if err == nil && r.Outcome == Refused {
		err = errors.New(r.Detail)
	}
	return err
}

// moveSpot moves a message of the selected folder, and returns its ID in the other one; empty: it was not there.
func (o *claws) moveSpot(uid imap.UID, from, to string) (string, error) {
	moved, err := await(o.box, func() (*imapclient.MoveData, error) { return o.Move(imap.UIDSetNum(uid), to).Wait() })
	if err != nil {
		return "", err
	}
	if uids, ok := moved.DestUIDs.(imap.UIDSet); ok && moved.UIDValidity != 0 {
		if all, err := few(uids, 1); err == nil && len(all) == 1 {
			return spotID(moved.UIDValidity, all[0]), nil
		}
	}
	there, err := o.spots(to) // a server without UIDPLUS
	for _, s := range slices.Backward(there) {
		if !slices.ContainsFunc(o.copies, func(c Copy) bool {
			return c.To == to && c.Now == s.ID || c.Folder == to && c.ID == s.ID
		}) {
			return s.ID, err
		}
	}
	return "", err
}

// giveAll moves back what was moved.
func (o *claws) giveAll() (Clawed, error) {
	back, gone := 0, 0
	for n := range o.copies {
		c := &o.copies[n]
		if c.Stays || c.Gone || c.Now == "" {
			continue
		}
		there, err := o.giveCopy(c)
		if err != nil {
			return Clawed{}, err
		}
		if there {
			back++
		} else {
			gone++
		}
	}
	return given(o.copies, back, gone), nil
}

// giveCopy moves one copy back; false: it is not where it was moved to.
func (o *claws) giveCopy(c *Copy) (bool, error) {
	there, err := o.spots(c.To)
	if err != nil && refusal(err) == "" {
		return false, err
	}
	n := slices.IndexFunc(there, func(s spot) bool { return s.ID == c.Now })
	if n < 0 {
		return c.Back, nil // an earlier try was about to move it
	}
	if o.c.DryRun {
		return true, nil
	}
	if c.Back = true; o.note != nil {
		if err := o.note(o.copies); err != nil {
			return false, err
		}
	}
	if err := o.create(c.Folder); err != nil {
		return false, err
	}
	if _, err := o.selects(c.To, false); err != nil {
		return false, err
	}
	_, err = o.moveSpot(there[n].uid, c.To, c.Folder)
	return err == nil, err
}
