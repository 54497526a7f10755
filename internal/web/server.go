// Package web is the page where senders see their held mail and take it back, and the API for programs. Both are views
// of the same few acts (acts.go), and these ask the desk who may do what: the rights of a person here are those that
// their mail to the recall address would have.
//
// Rules that hold: GET and HEAD change nothing. An answer says what the store says after the act, never what was hoped
// for. Whether something exists is told only to those who may see it. What comes from the network is bounded before it
// is read.
package web

import (
	"context"
	"crypto/tls"
	"errors"
	"html/template"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/identity"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/outage"
	"github.com/recall-milter/recall-milter/internal/recall"
	"github.com/recall-milter/recall-milter/internal/trial"
	"github.com/recall-milter/recall-milter/policy"
)

// Options are the table [web].
type Options struct {
	BaseURL   string             // without a slash at its end
	Proxies   policy.Networks    // whose X-Forwarded-For and sign-in header are believed
	Header    string             // by which a proxy says who has signed in; empty: none
	LinkMail  bool               // whether a mail to an address proves that it is somebody's
	Identity  *identity.Provider // at which people sign in; nil: none
	Session   time.Duration      // how long a sign-in lasts
	Preview   bool               // whether the text of mail is shown
	Operators policy.Patterns    // logins and addresses
	MaxGrace  time.Duration      // how long a sender may hold their own mail, from its beginning
	Delegates []Delegates
	Rules     trial.Rules      // for what would become of a message
	Mailboxes bool             // whether there is a way into any mailbox
	ClawKeep  time.Duration    // how long what came of a claw back is known
	Grace     time.Duration    // of mail for which no rule has one
	OwnGrace  *policy.OwnGrace // what people may choose in its place; nil: they may not

	Reason    func(rule, language string) string // why mail of a rule waits; nil: no rule has a reason
	ReasonFor func(*holdstore.Hold) string       // so, in the sender's language
	Clock     func(time.Time) time.Time          // gives moments the zone of the site's rules; nil: the gateway's own
}

// Delegates are those who may act for the senders of a rule.
type Delegates struct {
	Rule    string
	Logins  policy.Patterns
	Senders []string // all senders of the rule, where it names them one by one; nil: it does not
}

// Server answers browsers and programs. Safe for concurrent use.
type Server struct {
	o      Options
	store  Store
	desk   *recall.Desk
	post   Mail
	marker *mark.Marker
	log    Log
	texts  *Texts
	now    func() time.Time
	secure bool        // BaseURL begins with https
	wanted chan string // addresses that want a link to sign in

	storeAway, providerAway outage.Outage
	gone                    chan struct{} // somebody found the store away

	examine       func(context.Context) []Finding // nil: nothing does
	streams       shares
	connections   shares // of clients
	requests      shares // of clients
	room          room
	claws         *semaphore.Weighted // looks through what came in
	bounds        bounds
	crowd         atomic.Int64 // when a client that wanted too much was last logged, in nanoseconds
	pings         singleflight.Group
	pageTemplates map[string]*template.Template // by language
}

// Log is told what is done.
type Log interface {
	Acted(h *holdstore.Hold, verb string, by holdstore.Actor, only ...string)
	Trouble(msg string, err error)
	Recovered(msg string, lasted time.Duration)
	Panicked(what string, v any, stack []byte)
}

// Mail writes the mails that prove an address; post.Post says what each method promises.
type Mail interface {
	SignIn(ctx context.Context, to, link string, gateway string) error
}

// New returns a server. The marker needs its secret before anybody can sign in.
func New(store Store, desk *recall.Desk, post Mail, marker *mark.Marker, texts *Texts, log Log, o Options) *Server {
	clock := o.Clock
	if clock == nil {
		clock = time.Time.Local
	}
	now := func() time.Time { return clock(time.Now()) } // what people type without a zone is of the same zone
	s := &Server{o: o, store: store, desk: desk, post: post, marker: marker, texts: texts, log: log, now: now,
		wanted: make(chan string, 100), gone: make(chan struct{}, 1), secure: strings.HasPrefix(o.BaseURL, "https:"),
		pageTemplates: texts.templates(clock), room: newRoom(), bounds: patience, claws: semaphore.NewWeighted(looksAtOnce),
		streams:     shares{most: streamsMost, each: streamsPer},
		connections: shares{each: clientMost}, requests: shares{each: clientMost}}
	return s
}

// Bounds of one connection. An event stream sets its own deadlines.
const (
	idleTime  = 2 * time.Minute
	maxHeader = 16 << 10
	maxBody   = 64 << 10 // of what is posted
)

// bounds are those of slow clients.
type bounds struct {
	read, write time.Duration // for a request, and from then on for its answer
	connections int           // at a time, of one listener; others wait
}

// patience is for people far away; half of the connections can be streams.
var patience = bounds{10 * time.Second, 60 * time.Second, 4096}

// stopTime is how long requests may take to end when the server stops; more than the store takes for what has begun.
const stopTime = 10 * time.Second

// stopKey is under which the context of a request has the context that ends when the server stops. What has begun is
// finished and answered then; what takes long looks at it.
type stopKey struct{}

// stopping returns the context that ends when the server that serves a request stops.
func stopping(ctx context.Context) context.Context {
	if stop, ok := ctx.Value(stopKey{}).(context.Context); ok {
		return stop
	}
	return context.Background()
}

// Serve answers on a listener until ctx ends, and returns when nothing is answered any more.
func (s *Server) Serve(ctx context.Context, l net.Listener, certificate *tls.Config) error {
	var work sync.WaitGroup
	defer work.Wait()
	handler, requests := s.Handler(), sync.RWMutex{} // each request reads it, and its writer waits for all of them
	counted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !requests.TryRLock() {
			panic(http.ErrAbortHandler) // the server has stopped
		}
		defer requests.RUnlock()
		handler.ServeHTTP(w, r)
	})
	defer requests.Lock()
	base := context.WithValue(context.WithoutCancel(ctx), stopKey{}, ctx)
	server := &http.Server{Handler: counted, ReadTimeout: s.bounds.read, WriteTimeout: s.bounds.write,
		IdleTimeout:    idleTime,
		MaxHeaderBytes: maxHeader, TLSConfig: certificate, BaseContext: func(net.Listener) context.Context { return base }}
	l = netutil.LimitListener(reception{l, s}, s.bounds.connections)
	work.Go(func() { s.mailLinks(ctx) })
	work.Go(func() { s.awaitStore(ctx) })
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		end, cancel := context.WithTimeout(base, stopTime)
		defer cancel()
		if server.Shutdown(end) != nil {
			server.Close()
		}
	})
	var err error
	if certificate != nil {
		err = server.ServeTLS(l, "", "")
	} else {
		err = server.Serve(l)
	}
	if !stop() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Handler returns what answers all requests.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	s.pages(mux)
	s.oidc(mux)
	s.operatorPages(mux)
	s.api(mux)
	return s.guarded(s.sharing(s.room.staying(mux)))
}
