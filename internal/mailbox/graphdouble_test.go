package mailbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// exchange plays Microsoft Graph with one user's mailbox, as its reference describes it: it was never compared with the
// real service. It knows only the requests, query options and properties of the reference, and refuses all others.
type exchange struct {
	*httptest.Server
	issuer *issuer
	mu     sync.Mutex
	made   int
	boxes  map[string]*graphMailbox
	before func(w http.ResponseWriter, r *http.Request) (answered bool) // nil: nothing odd
	page   int                                                          // messages in one answer
	calls  []string
}

type graphMailbox struct {
	folders  map[string]string // name by ID
	messages []*graphCopy
	removed  []string // Message-IDs in Purges
}

type graphCopy struct {
	id, folder, flag, verb string
	read                   bool
	headers                [][2]string
}

func startExchange(t *testing.T) *exchange {
	t.Helper()
	x := &exchange{issuer: startIssuer(t), page: 50, boxes: map[string]*graphMailbox{bert: newGraphMailbox()}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1.0/{$}", func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, map[string]any{}) })
	mux.HandleFunc("GET /v1.0/users/{user}/messages", x.in(x.list, "$filter", "$select", "$top", "$skip"))
	mux.HandleFunc("GET /v1.0/users/{user}/messages/{id}", x.in(x.one, "$select", "$expand"))
	mux.HandleFunc("POST /v1.0/users/{user}/messages/{id}/move", x.in(x.move))
	mux.HandleFunc("POST /v1.0/users/{user}/messages/{id}/permanentDelete", x.in(x.purge))
	mux.HandleFunc("GET /v1.0/users/{user}/mailFolders/{id}", x.in(x.folder, "$select"))
	mux.HandleFunc("GET /v1.0/users/{user}/mailFolders/{id}/childFolders", x.in(x.children, "$select", "$filter"))
	mux.HandleFunc("POST /v1.0/users/{user}/mailFolders/{id}/childFolders", x.in(x.make))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { refuse(w, 400, "BadRequest", r.URL.Path) })
	x.Server = httptest.NewServer(mux)
	t.Cleanup(x.Close)
	return x
}

func newGraphMailbox() *graphMailbox {
	return &graphMailbox{folders: map[string]string{"inbox": "Inbox", "deleteditems": "Deleted Items",
		"junkemail": "Junk Email", recoverable: "Deletions"}}
}

func answer(w http.ResponseWriter, status int, what any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(what)
}

func refuse(w http.ResponseWriter, status int, code, text string) {
	answer(w, status, map[string]any{"error": map[string]any{"code": code, "message": text}})
}

// in finds the mailbox for a request that the reference knows.
func (x *exchange) in(do func(*graphMailbox, http.ResponseWriter, *http.Request), options ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.calls = append(x.calls, r.Method+" "+strings.TrimPrefix(r.URL.Path, "/v1.0/users/"+bert))
		if x.before != nil && x.before(w, r) {
			return
		}
		x.issuer.mu.Lock()
		_, good := x.issuer.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
		x.issuer.mu.Unlock()
		box := x.boxes[r.PathValue("user")]
		switch {
		case !good:
			refuse(w, 401, "InvalidAuthenticationToken", "Access token is empty or invalid.")
		case box == nil:
			refuse(w, 404, "ErrorInvalidUser", "The requested user is invalid.")
		case r.Header.Get("Prefer") != `IdType="ImmutableId"`:
			refuse(w, 400, "BadRequest", "the IDs of this test are immutable ones")
		default:
			for option := range r.URL.Query() {
				if !slices.Contains(options, option) {
					refuse(w, 400, "BadRequest", "unknown query option "+option)
					return
				}
			}
			do(box, w, r)
		}
	}
}

// quoted is the text of a filter "property eq 'text'".
func quoted(filter, property string) (text string, ok bool) {
	text, ok = strings.CutPrefix(filter, property+" eq '")
	text, ended := strings.CutSuffix(text, "'")
	alone := strings.Contains(strings.ReplaceAll(text, "''", ""), "'")
	return strings.ReplaceAll(text, "''", "'"), ok && ended && !alone
}

func (x *exchange) list(box *graphMailbox, w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	wanted, ok := quoted(q.Get("$filter"), "internetMessageId")
	if !ok {
		refuse(w, 400, "ErrorInvalidUrlQueryFilter", "The query filter is invalid.")
		return
	}
	var skip int
	_, _ = fmt.Sscan(q.Get("$skip"), &skip)
	value, next := []map[string]any{}, ""
	for _, m := range box.messages {
		if m.folder == recoverable || m.field("Message-ID") != wanted {
			continue
		}
		if skip--; skip >= 0 {
			continue
		}
		if len(value) == x.page {
			given := 0
			_, _ = fmt.Sscan(q.Get("$skip"), &given)
			q.Set("$skip", fmt.Sprint(given+x.page))
			next = x.URL + r.URL.EscapedPath() + "?" + q.Encode()
			break
		}
		value = append(value, map[string]any{"@odata.etag": `W/"1"`, "id": m.id})
	}
	page := map[string]any{"value": value}
	if next != "" {
		page["@odata.nextLink"] = next
	}
	answer(w, 200, page)
}

// known are properties of a message by the reference.
var known = []string{"id", "parentFolderId", "isDraft", "isRead", "flag", "internetMessageHeaders", "internetMessageId",
	"from", "sentDateTime", "subject"}

func (x *exchange) one(box *graphMailbox, w http.ResponseWriter, r *http.Request) {
	m := box.find(w, r)
	if m == nil {
		return
	}
	all, headers := map[string]any{}, []map[string]string{}
	for _, h := range m.headers {
		headers = append(headers, map[string]string{"name": h[0], "value": h[1]})
	}
	for _, property := range strings.Split(r.URL.Query().Get("$select"), ",") {
		if !slices.Contains(known, property) {
			refuse(w, 400, "RequestBroker--ParseUri", "Could not find a property named '"+property+"'")
			return
		}
		all[property] = map[string]any{"id": m.id, "parentFolderId": m.folder, "isDraft": false, "isRead": m.read,
			"flag": map[string]string{"flagStatus": m.flag}, "internetMessageHeaders": headers}[property]
	}
	if r.URL.Query().Get("$expand") == "singleValueExtendedProperties($filter=id eq 'Integer 0x1081')" && m.verb != "" {
		all["singleValueExtendedProperties"] = []map[string]string{{"id": "Integer 0x1081", "value": m.verb}}
	}
	answer(w, 200, all)
}

func (x *exchange) move(box *graphMailbox, w http.ResponseWriter, r *http.Request) {
	var ask struct{ DestinationID string }
	m := box.find(w, r)
	if m == nil {
		return
	}
	if json.NewDecoder(r.Body).Decode(&ask) != nil || box.folders[ask.DestinationID] == "" {
		refuse(w, 404, "ErrorFolderNotFound", "The specified folder could not be found in the store.")
		return
	}
	m.folder = ask.DestinationID
	answer(w, 201, map[string]any{"id": m.id})
}

func (x *exchange) purge(box *graphMailbox, w http.ResponseWriter, r *http.Request) {
	if m := box.find(w, r); m != nil {
		box.messages = slices.DeleteFunc(box.messages, func(other *graphCopy) bool { return other == m })
		box.removed = append(box.removed, m.field("Message-ID"))
		w.WriteHeader(http.StatusNoContent)
	}
}

func (x *exchange) folder(box *graphMailbox, w http.ResponseWriter, r *http.Request) {
	if box.folders[r.PathValue("id")] == "" {
		refuse(w, 404, "ErrorItemNotFound", "The specified object was not found in the store.")
		return
	}
	answer(w, 200, map[string]any{"id": r.PathValue("id")})
}

func (x *exchange) children(box *graphMailbox, w http.ResponseWriter, r *http.Request) {
	value := []map[string]string{}
	name, ok := quoted(r.URL.Query().Get("$filter"), "displayName")
	for id, have := range box.folders {
		if ok && have == r.PathValue("id")+"/"+name {
			value = append(value, map[string]string{"id": id, "displayName": name})
		}
	}
	answer(w, 200, map[string]any{"value": value})
}

func (x *exchange) make(box *graphMailbox, w http.ResponseWriter, r *http.Request) {
	var ask struct{ DisplayName string }
	if json.NewDecoder(r.Body).Decode(&ask) != nil || ask.DisplayName == "" {
		refuse(w, 400, "ErrorFolderSave", "a folder needs a name")
		return
	}
	x.made++
	id := fmt.Sprint("made-", x.made)
	box.folders[id] = r.PathValue("id") + "/" + ask.DisplayName
	answer(w, 201, map[string]string{"id": id, "displayName": ask.DisplayName})
}

func (b *graphMailbox) find(w http.ResponseWriter, r *http.Request) *graphCopy {
	for _, m := range b.messages {
		if m.id == r.PathValue("id") {
			return m
		}
	}
	refuse(w, 404, "ErrorItemNotFound", "The specified object was not found in the store.")
	return nil
}

func (m *graphCopy) field(name string) string {
	for _, h := range m.headers {
		if strings.EqualFold(h[0], name) {
			return h[1]
		}
	}
	return ""
}

// deliver puts a mail into a folder; its fields become what Graph shows of them.
func (x *exchange) deliver(folder, mail string) *graphCopy {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.made++
	m := &graphCopy{id: fmt.Sprint("AAMk/+=", x.made), folder: folder, flag: "notFlagged"}
	head, _, _ := strings.Cut("Received: from gateway by exchange; now\r\n"+mail, "\r\n\r\n")
	for _, line := range strings.Split(head, "\r\n") {
		name, value, ok := strings.Cut(line, ":")
		if ok && !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "\t") {
			m.headers = append(m.headers, [2]string{name, strings.TrimSpace(value)})
		} else if n := len(m.headers); n > 0 {
			m.headers[n-1][1] += " " + strings.TrimSpace(line)
		}
	}
	x.boxes[bert].messages = append(x.boxes[bert].messages, m)
	return m
}

// way is the way into the mailbox under a policy.
func (x *exchange) way(t *testing.T, p Policy) *Graph {
	t.Helper()
	m, err := New([]Server{{Graph: true, Address: x.URL + "/v1.0", Token: Token{URL: x.issuer.URL + "/token",
		ClientID: "gateway", ClientSecretFile: x.issuer.secret, Scope: scope}}}, p)
	if err != nil {
		t.Fatal(err)
	}
	return m.servers[0].Backend.(*Graph)
}
