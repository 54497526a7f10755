package web

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/mail"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/recall"
)

// signInView is the page to sign in.
type signInView struct {
	view
	LinkMail, Elsewhere, OIDC bool
	Confirm, Action, Once     string
	SignOutThere              string // where somebody who has signed out here does so at their provider
}

func (s *Server) signInPage(w http.ResponseWriter, r *http.Request) {
	v := signInView{view: s.view(r, nil, "sign-in"), LinkMail: s.o.LinkMail, Elsewhere: s.o.Header != "",
		OIDC: s.o.Identity != nil}
	switch r.URL.Query().Get("did") {
	case "mailed":
		v.Outcome, v.OutcomeKind = s.texts.say(v.Lang, "mail-sent"), "good"
	case "signed-out":
		v.Outcome, v.OutcomeKind = s.texts.say(v.Lang, "signed-out"), "good"
		if v.OIDC {
			v.SignOutThere = s.o.Identity.SignOutURL()
		}
	}
	s.render(w, v.Lang, "signin", http.StatusOK, v)
}

// Bounds of the mails by which people sign in.
const (
	linkPerAddress = 1   // an hour
	linkPerClient  = 20  // an hour, of one network
	linkPerSite    = 500 // an hour, in all
	linkTime       = time.Hour
)

// proof is what a mail to an address proves with.
type proof struct {
	ID      string    `json:"i"`
	Address string    `json:"a"`
	Ends    time.Time `json:"e"`
}

// mailLink answers the same for every address, at once: what follows takes its time, and tells only the owner of the
// address.
func (s *Server) mailLink(w http.ResponseWriter, r *http.Request) {
	if !s.o.LinkMail {
		s.fail(w, r, unknownPath())
		return
	}
	if err := r.ParseForm(); err != nil {
		s.fail(w, r, asProblemOfBody(err))
		return
	}
	from := recall.ClientNetwork(s.client(r).String())
	n, err := s.store.Count(r.Context(), linkTime, holdstore.Tally{Name: "web links for " + from, By: 1})
	if err == nil && n[0] > linkPerClient {
		err = tooMany(int(linkTime.Seconds()))
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	address, err := mail.ParseAddress(r.PostForm.Get("address"))
	if r.PostForm.Get("act") == "mail" && err == nil && len(address.Address) <= 254 {
		select {
		case s.wanted <- address.Address:
		default: // a flood: nobody is told
		}
	}
	http.Redirect(w, r, "/sign-in?did=mailed#outcome", http.StatusSeeOther)
}

// mailLinks sends the links that were asked for, until ctx ends.
func (s *Server) mailLinks(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case address := <-s.wanted:
			if err := s.sendLink(ctx, address); err != nil && ctx.Err() == nil {
				s.log.Trouble("somebody got no link to sign in", err)
			}
		}
	}
}

// sendLink sends a link to an address from which one of the site's own people has sent mail.
func (s *Server) sendLink(ctx context.Context, address string) error {
	own := func(h *holdstore.Hold) bool { return s.desk.OfOurs(h) }
	holds, err := s.store.Latest(ctx, holdstore.Whose{Sender: address, AnyLogin: true}, 1, own)
	if len(holds) == 0 { // with ErrMany or ErrPartial there may be some
		return err
	}
	address = holds[0].Sender.Address
	tally := func(by int) ([]int, error) {
		return s.store.Count(context.WithoutCancel(ctx), linkTime,
			holdstore.Tally{Name: "web link to " + address, By: by}, holdstore.Tally{Name: "web links", By: by})
	}
	n, err := tally(1)
	if err != nil || n[0] > linkPerAddress || n[1] > linkPerSite {
		return err
	}
	body, _ := json.Marshal(proof{rand.Text(), address, s.now().Add(linkTime)})
	token, ok := s.marker.Sign(mark.SignIn, base64.RawURLEncoding.EncodeToString(body))
	if !ok {
		return nil
	}
	err = s.post.SignIn(ctx, address, s.o.BaseURL+"/s/"+token, holds[0].Gateway)
	if err != nil { // they may ask again
		_, failed := tally(-1)
		err = errors.Join(err, failed)
	}
	return err
}

func (s *Server) readProof(token string) (p proof, ok bool) {
	text, ok := s.marker.Signed(mark.SignIn, token)
	if !ok {
		return p, false
	}
	body, err := base64.RawURLEncoding.DecodeString(text)
	return p, err == nil && json.Unmarshal(body, &p) == nil && s.now().Before(p.Ends)
}

// confirmPage shows a button: what opens the links of mails, as filters do, signs in nowhere.
func (s *Server) confirmPage(w http.ResponseWriter, r *http.Request) {
	p, ok := s.readProof(r.PathValue("token"))
	if !ok {
		s.fail(w, r, s.wrong(r, "link to sign in", notFound()))
		return
	}
	v := signInView{view: s.view(r, nil, "sign-in"), Confirm: p.Address, Action: r.URL.Path, Once: rand.Text()}
	s.render(w, v.Lang, "signin", http.StatusOK, v)
}

// confirm signs in, once for each link. The same form may come again: its first answer was perhaps an error.
func (s *Server) confirm(w http.ResponseWriter, r *http.Request) {
	p, ok := s.readProof(r.PathValue("token"))
	if !ok {
		s.fail(w, r, s.wrong(r, "link to sign in", notFound()))
		return
	}
	if err := r.ParseForm(); err != nil || r.PostForm.Get("act") != "sign-in" {
		s.fail(w, r, invalid(http.StatusBadRequest, "no button was pressed"))
		return
	}
	once := r.PostForm.Get("once")
	if once == "" || len(once) > 100 {
		once = rand.Text()
	}
	first, err := s.store.FirstUse(r.Context(), "web sign-in "+p.ID, once, linkTime+time.Minute)
	if err == nil && !first {
		err = notFound()
	}
	by := holdstore.Actor{By: "<" + holdstore.Fold(p.Address) + ">", From: "page, " + s.client(r).String()}
	if err == nil {
		err = s.store.Audit(r.Context(), "sign-in", "", by, "by a link that was mailed")
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.begin(w, session{Way: byMail, Addresses: []string{p.Address}})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// signOut ends the session of this browser, or all of this person.
func (s *Server) signOut(w http.ResponseWriter, r *http.Request) {
	c, err := s.caller(r)
	if err == nil {
		err = r.ParseForm()
	}
	act := r.PostForm.Get("act")
	if err == nil && act != "here" && act != "everywhere" {
		err = invalid(http.StatusBadRequest, "no button was pressed")
	}
	if err == nil && c.session != nil {
		err = s.end(r.Context(), c.session, act == "everywhere")
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.setCookie(w, s.cookieName(), "", -1)
	http.Redirect(w, r, SignedOut+"#outcome", http.StatusSeeOther)
}
