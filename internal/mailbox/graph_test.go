package mailbox

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// takes recalls under a policy, and wants an outcome.
func (x *exchange) takes(t *testing.T, p Policy, want string) (r Result, planned []Result) {
	t.Helper()
	r, err := x.way(t, p).Retract(t.Context(), target(id), func(r Result) error {
		planned = append(planned, r)
		return nil
	})
	if err != nil || r.Outcome != want {
		t.Fatalf("got %+v, %v; want %s\n%s", r, err, want, strings.Join(x.calls, "\n"))
	}
	return r, planned
}

var unreadOnly = Policy{Unread: "delete", Read: "keep"}

// where is the folder that a copy is in; empty: it is gone.
func (x *exchange) where(m *graphCopy) string {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !slices.Contains(x.boxes[bert].messages, m) {
		return ""
	}
	return x.boxes[bert].folders[m.folder]
}

func TestGraphRemovesAnUnreadMessageForGoodAndNoOther(t *testing.T) {
	x := startExchange(t)
	hostile := "<o'neil' or 1 eq 1@corp.test>"
	decoys := []*graphCopy{x.deliver("inbox", message(other(1))), x.deliver("inbox", message(hostile)),
		x.deliver("inbox", strings.Replace(message(id), anna, "mallory@corp.test", 1)),
		x.deliver("inbox", strings.Replace(message(id), "09:00", "09:01", 1))}
	own := x.deliver("inbox", message(id)) // as in Sent Items: it never came by mail
	own.headers = own.headers[1:]
	copies := []*graphCopy{x.deliver("inbox", message(id)), x.deliver("junkemail", message(id))}
	r, planned := x.takes(t, unreadOnly, Retracted)
	if !strings.HasPrefix(r.Detail, "2 copies") || len(planned) != 2 || len(x.boxes[bert].removed) != 2 {
		t.Errorf("it says %q, planned %+v, purged %q", r.Detail, planned, x.boxes[bert].removed)
	}
	for _, m := range append(decoys, own) {
		if x.where(m) != "Inbox" {
			t.Errorf("%v is in %q", m.headers, x.where(m))
		}
	}
	for _, m := range copies {
		if x.where(m) != "" {
			t.Errorf("a copy is in %q", x.where(m))
		}
	}
	x.takes(t, unreadOnly, NotFound)
	r, err := x.way(t, unreadOnly).Retract(t.Context(), target(hostile), func(Result) error { return nil })
	if err != nil || r.Outcome != Retracted || x.where(decoys[0]) != "Inbox" {
		t.Errorf("%s: %+v, %v", hostile, r, err)
	}
}

func TestGraphLeavesWhatItsUserHasSeen(t *testing.T) {
	for why, see := range map[string]func(*graphCopy){
		"read":      func(m *graphCopy) { m.read = true },
		"flagged":   func(m *graphCopy) { m.flag = "flagged" },
		"answered":  func(m *graphCopy) { m.verb = "102" },
		"forwarded": func(m *graphCopy) { m.verb = "104" },
	} {
		x := startExchange(t)
		m := x.deliver("inbox", message(id))
		see(m)
		if r, planned := x.takes(t, unreadOnly, Read); !strings.HasPrefix(r.Detail, why+", in the inbox") || planned != nil {
			t.Errorf("%s: it says %q", why, r.Detail)
		}
		if x.where(m) != "Inbox" {
			t.Errorf("%s: it is in %q", why, x.where(m))
		}
		x.takes(t, Policy{Unread: "delete", Read: "delete"}, Read)
		if x.where(m) != "" {
			t.Errorf("%s: read = \"delete\" leaves it in %q", why, x.where(m))
		}
	}
}

// Between our look and our act its user opens it.
func TestGraphGivesBackWhatWasReadAtTheLastMoment(t *testing.T) {
	for _, c := range []struct {
		policy Policy
		want   string
	}{{unreadOnly, "Inbox"}, {Policy{Unread: "delete", Read: "delete"}, ""},
		{Policy{Unread: "move:Recalled", Read: "keep"}, "msgfolderroot/Recalled"}} {
		x := startExchange(t)
		m := x.deliver("inbox", message(id))
		x.before = func(_ http.ResponseWriter, r *http.Request) bool {
			m.read = m.read || strings.HasSuffix(r.URL.Path, "/move")
			return false
		}
		if r, _ := x.takes(t, c.policy, Read); !strings.HasPrefix(r.Detail, "read at the last moment") {
			t.Errorf("it says %q", r.Detail)
		}
		if x.where(m) != c.want {
			t.Errorf("%+v: it is in %q, want %q", c.policy, x.where(m), c.want)
		}
	}
}

func TestGraphMovesToAFolderThatItMakes(t *testing.T) {
	x := startExchange(t)
	m := x.deliver("junkemail", message(id))
	p := Policy{Unread: "move:Recalled/O'Neil", Read: "keep"}
	if r, _ := x.takes(t, p, Moved); r.Detail != "unread, in the folder Junk; moved by the policy" {
		t.Errorf("it says %q", r.Detail)
	}
	if x.where(m) != "made-2/O'Neil" {
		t.Errorf("it is in %q", x.where(m))
	}
	x.takes(t, p, Moved)
	if x.made != 3 {
		t.Errorf("a second try made another folder")
	}
}

func TestGraphSaysInADryRunWhatItWouldDo(t *testing.T) {
	x := startExchange(t)
	m := x.deliver("inbox", message(id))
	p := unreadOnly
	p.DryRun = true
	if r, _ := x.takes(t, p, Refused); r.Detail != "dry run: would be retracted, unread, in the inbox" {
		t.Errorf("it says %q", r.Detail)
	}
	if x.where(m) != "Inbox" {
		t.Errorf("it is in %q", x.where(m))
	}
}

// National clouds have no permanentDelete, and a hold on a mailbox may refuse it.
func TestGraphSaysWhatItsUserCanStillRecover(t *testing.T) {
	x := startExchange(t)
	m := x.deliver("inbox", message(id))
	x.before = func(w http.ResponseWriter, r *http.Request) bool {
		refused := strings.HasSuffix(r.URL.Path, "/permanentDelete")
		if refused {
			refuse(w, 400, "BadRequest", "Resource not found for the segment 'permanentDelete'.")
		}
		return refused
	}
	if r, _ := x.takes(t, unreadOnly, Retracted); !strings.Contains(r.Detail, "can still recover it") {
		t.Errorf("it says %q", r.Detail)
	}
	if x.where(m) != "Deletions" {
		t.Errorf("it is in %q", x.where(m))
	}
}

func TestGraphReadsEveryPageAndFollowsNoOtherServer(t *testing.T) {
	x := startExchange(t)
	x.page = 2
	for range 4 {
		x.deliver("inbox", strings.Replace(message(id), anna, "mallory@corp.test", 1))
	}
	m := x.deliver("inbox", message(id))
	x.takes(t, unreadOnly, Retracted)
	if x.where(m) != "" {
		t.Errorf("it is in %q", x.where(m))
	}
	x.before = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/messages") {
			answer(w, 200, map[string]any{"value": []any{}, "@odata.nextLink": "http://127.0.0.1:1/v1.0/users/x/messages"})
			return true
		}
		return false
	}
	if _, err := x.way(t, unreadOnly).Retract(t.Context(), target(id), nil); err == nil ||
		!strings.Contains(err.Error(), "another server") {
		t.Errorf("got %v", err)
	}
}

func TestGraphIsAskedAgainAfterWhatMayPass(t *testing.T) {
	x := startExchange(t)
	for name, c := range map[string]struct {
		status int
		header string
		login  bool
		wait   time.Duration
	}{
		"throttled":      {429, "7", false, 7 * time.Second},
		"throttled long": {429, "999999999999", false, time.Hour},
		"far too long":   {429, "86400", false, time.Hour},
		"an outage":      {503, "", false, 0},
		"a proxy":        {502, "", false, 0},
		"no permission":  {403, "", true, 0},
		"a bad token":    {401, "", true, 0},
	} {
		m := x.deliver("inbox", message(id))
		way := x.way(t, unreadOnly)
		x.before = func(w http.ResponseWriter, _ *http.Request) bool {
			if c.header != "" {
				w.Header().Set("Retry-After", c.header)
			}
			refuse(w, c.status, "Code", "text\x1b[31m")
			return true
		}
		_, err := way.Retract(t.Context(), target(id), nil)
		if err == nil || errors.Is(err, ErrLogin) != c.login || Wait(err) != c.wait || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%s: %v, wait %s", name, err, Wait(err))
		}
		x.before = nil
		if r, err := way.Retract(t.Context(), target(id), func(Result) error { return nil }); err != nil ||
			r.Outcome != Retracted || x.where(m) != "" {
			t.Errorf("%s: later %+v, %v", name, r, err)
		}
	}
}

func TestGraphGetsAnotherTokenInPlaceOfOneThatIsRefused(t *testing.T) {
	x := startExchange(t)
	way := x.way(t, unreadOnly)
	if _, err := way.Check(t.Context(), bert); err != nil {
		t.Fatal(err)
	}
	x.issuer.withdraw()
	if _, err := way.Check(t.Context(), bert); err != nil || x.issuer.given != 2 {
		t.Errorf("%v, %d tokens", err, x.issuer.given)
	}
}

func TestGraphKnowsWhoHasNoMailbox(t *testing.T) {
	x := startExchange(t)
	way := x.way(t, unreadOnly)
	for _, to := range []string{"nobody@far.test", "x/../" + bert, "a?b#c@far.test"} {
		at := target(id)
		at.Recipient = to
		if r, err := way.Retract(t.Context(), at, nil); err != nil || r.Outcome != NotFound {
			t.Errorf("%s: %+v, %v", to, r, err)
		}
	}
	x.before = func(w http.ResponseWriter, _ *http.Request) bool {
		refuse(w, 404, "MailboxNotEnabledForRESTAPI", "The mailbox is inactive, or is hosted on-premise.")
		return true
	}
	x.takes(t, unreadOnly, Refused)
	if _, err := way.Check(t.Context(), ""); err != nil {
		t.Errorf("a service that answers: %v", err)
	}
	x.Close()
	if _, err := way.Check(t.Context(), ""); err == nil {
		t.Error("a service that is away is found")
	}
}
