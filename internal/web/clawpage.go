package web

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/clawback"
	"github.com/recall-milter/recall-milter/internal/criteria"
)

const clawPath = "/operator/claw-backs"

// clawFields are the filters over what came in, which are those of recallctl retract.
var clawFields = []string{"sender", "recipient", "subject", "message_id", "since", "until"}

const (
	clawSamples = 20 // messages that the page shows before a claw back
	clawListed  = 20 // claw backs that it lists
)

// deliveredView is the page that finds what came in, and on which a claw back is ordered.
type deliveredView struct {
	view
	Fields    []searchField
	Wrong     string // why the search can't be made
	Asked     bool
	Reachable bool
	Missing   string
	Unread    int

	Messages, Apart            []clawMessage // the first of them
	MessagesAll, ApartAll      int
	Mailboxes, ApartBoxes      int
	Hidden                     []searchField // the search in absolute moments
	Seen                       string        // digest of what was counted
	Folder, Reason             string
	Goal                       string // trash, folder, delete
	TakeApart, Changed, DryRun bool
	Recent                     []clawRow
	RecentMissing              bool
}

// clawRow is a claw back in the list of them.
type clawRow struct {
	clawLine
	Goal string
}

// readClawForm reads the filters of a form, as they were typed. Times that count from now become moments, so that the
// order means what was counted. The end of the search is the moment of the count at the latest.
func readClawForm(form url.Values, now time.Time) (typed, exact []searchField, q clawQuery, err error) {
	values, asked := url.Values{}, false
	for _, name := range clawFields {
		value := strings.TrimSpace(form.Get(name))
		typed = append(typed, searchField{name, value})
		if asked = asked || value != ""; name == "since" || name == "until" {
			at, wrong := criteria.Moment(value, now)
			if err = errors.Join(err, wrong); at.IsZero() && name == "until" && asked {
				at = now
			}
			if value = ""; !at.IsZero() {
				value = at.Format(time.RFC3339Nano)
			}
		}
		exact = append(exact, searchField{name, value})
		if values.Set(name, value); name == "message_id" {
			values[name] = strings.Fields(value)
		}
	}
	if err != nil {
		err = invalid(http.StatusBadRequest, err.Error())
	}
	return typed, exact, clawQueryOf(values), err
}

// deliveredPage finds what came in. Without a filter it lists the claw backs.
func (s *Server) deliveredPage(w http.ResponseWriter, r *http.Request, c *caller) {
	v := deliveredView{view: s.view(r, c, "delivered"), Goal: "trash"}
	s.showDelivered(w, r, v, r.URL.Query(), http.StatusOK)
}

// showDelivered fills the page with what a form selects, and with the claw backs.
func (s *Server) showDelivered(w http.ResponseWriter, r *http.Request, v deliveredView, form url.Values, status int) {
	v.Reachable = s.o.Mailboxes
	var err error
	if v.Recent, v.RecentMissing, err = s.recentClaws(r, v.Lang); err != nil {
		s.fail(w, r, err)
		return
	}
	typed, exact, q, err := readClawForm(form, s.now())
	v.Fields, v.Hidden = typed, exact
	for _, f := range typed {
		v.Asked = v.Asked || f.Value != ""
	}
	if v.Asked && err == nil {
		var f foundMail
		if f, err = s.delivered(r, q, http.StatusBadRequest); err == nil {
			s.fillDelivered(&v, f)
		}
	}
	if p := asProblem(err); err != nil && p.Status != http.StatusBadRequest {
		s.fail(w, r, err)
		return
	} else if err != nil {
		v.Wrong, status = p.Detail, p.Status
	}
	s.render(w, v.Lang, "delivered", status, v)
}

func (s *Server) fillDelivered(v *deliveredView, f foundMail) {
	v.Messages, v.Apart = clawMessages(f.Messages), clawMessages(f.Apart)
	v.MessagesAll, v.ApartAll, v.Unread = len(f.Messages), len(f.Apart), f.Unread
	v.Messages, v.Apart = v.Messages[:min(len(v.Messages), clawSamples)], v.Apart[:min(len(v.Apart), clawSamples)]
	all := f.Mailboxes(true)
	v.Mailboxes = len(f.Mailboxes(false))
	v.ApartBoxes, v.Seen = len(all)-v.Mailboxes, digestOf(all)
	if f.missing != "" {
		v.Missing = s.texts.say(v.Lang, "missing")
	}
}

// digestOf names exactly these mailboxes of these messages.
func digestOf(boxes []clawback.Mailbox) string {
	sum := sha256.New()
	_ = json.NewEncoder(sum).Encode(boxes) // a hash takes all
	return hex.EncodeToString(sum.Sum(nil))
}

// recentClaws lists the newest claw backs; missing: there may be more.
func (s *Server) recentClaws(r *http.Request, lang string) (rows []clawRow, missing bool, err error) {
	all, err := s.store.ClawBacks(r.Context(), clawListed)
	if missing = errors.Is(err, holdstore.ErrPartial); err != nil && !missing {
		return nil, false, err
	}
	for _, h := range all {
		if l, err := clawLineOf(h); err == nil { // else its seal key is missing
			rows = append(rows, clawRow{l, s.goal(lang, l)})
		}
	}
	return rows, missing, nil
}

// goal says in a language where a claw back moves messages.
func (s *Server) goal(lang string, l clawLine) string {
	words := s.texts.say(lang, "claw-trash")
	switch {
	case l.Undoes != "":
		words = s.texts.say(lang, "claw-undoes", l.Undoes)
	case l.Delete:
		words = s.texts.say(lang, "claw-delete")
	case l.To != "":
		words = s.texts.say(lang, "claw-folder", l.To)
	}
	if l.Changed {
		words += " · " + s.texts.say(lang, "claw-changed-too")
	}
	if l.DryRun {
		words += " · " + s.texts.say(lang, "claw-dry")
	}
	return words
}

// orderPage orders a claw back of exactly what was counted. Where that is not what matches now, it counts again.
func (s *Server) orderPage(w http.ResponseWriter, r *http.Request, c *caller) {
	if err := r.ParseForm(); err != nil {
		s.fail(w, r, asProblemOfBody(err))
		return
	}
	form := r.PostForm
	o := clawback.Order{Folder: strings.TrimSpace(form.Get("folder")), Delete: form.Get("goal") == "delete",
		DryRun: form.Get("dry_run") != "", Changed: form.Get("changed") != "", Reason: strings.TrimSpace(form.Get("reason"))}
	v := deliveredView{view: s.view(r, c, "delivered"), Goal: form.Get("goal"), Folder: o.Folder, Reason: o.Reason,
		DryRun: o.DryRun, Changed: o.Changed, TakeApart: form.Get("apart") != ""}
	v.OutcomeKind = "bad"
	if v.Goal != "folder" {
		o.Folder = ""
	}
	_, _, q, err := readClawForm(form, s.now())
	switch {
	case err != nil:
	case len(o.Reason) > reasonMost:
		err = errReason
	case !s.o.Mailboxes:
		err = errNoMailboxes
	case v.Goal == "folder" && o.Folder == "", len(o.Folder) > folderMost:
		v.Outcome = s.texts.say(v.Lang, "claw-no-folder")
		s.showDelivered(w, r, v, form, http.StatusUnprocessableEntity)
		return
	case v.Goal != "trash" && v.Goal != "folder" && v.Goal != "delete":
		err = invalid(http.StatusBadRequest, "no button was pressed")
	}
	var f foundMail
	if err == nil {
		f, err = s.delivered(r, q, http.StatusBadRequest)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	boxes := f.Mailboxes(v.TakeApart)
	if form.Get("seen") != digestOf(f.Mailboxes(true)) || len(boxes) == 0 {
		v.Outcome = s.texts.say(v.Lang, "claw-changed")
		s.showDelivered(w, r, v, form, http.StatusConflict)
		return
	}
	id, err := s.orderClaw(r, c, o, boxes)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	http.Redirect(w, r, clawPath+"/"+id+"?did=ordered#outcome", http.StatusSeeOther)
}
