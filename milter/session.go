package milter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/textproto"
	"strings"
	"time"

	gomilter "github.com/emersion/go-milter"
	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/policy"
)

// storeBudget is how long a commit may take: below every MTA's and client's time-out, since progress frames and
// RFC 5321 section 4.5.3.2.6 (10 minutes for the final dot) allow more.
const (
	storeBudget   = 100 * time.Second
	progressEvery = 2 * time.Second
	maxMarks      = 50 // Received fields of ours that are checked: a loop has ended long before
)

// session is one connection of the MTA: state of the connection, and of the message that is going on.
type session struct {
	server *Server
	ctx    context.Context
	conn   *conn

	client holdstore.Client
	macros map[string]string
	raw    []byte // data of the frame that go-milter is handling
	last   string // ID of the hold whose DISCARD the MTA has not proven to have read

	msg message
}

// message is what is gathered of one message.
type message struct {
	sub     holdstore.Submission
	fields  []policy.Field
	size    int // of fields
	verdict policy.Verdict
	put     Put
	ctx     context.Context    // of the pieces on their way, which outlive the callback that sent them
	cancel  context.CancelFunc // nil before put
	err     error              // why the message can't be held
	judged  bool               // the end of the headers was seen
}

// seen is told of every frame: the first that can only follow a reply proves that the reply was read.
func (s *session) seen(code byte) {
	if s.last != "" && strings.IndexByte("AMQK", code) >= 0 {
		s.server.Store.Confirm(s.last)
		s.last = ""
	}
}

// macro takes a D frame. Macros are merged: each stage adds to what earlier ones said.
func (s *session) macro(data []byte) {
	if len(data) == 0 {
		return
	}
	pairs := strings0(data[1:])
	for i := 0; i+1 < len(pairs) && len(s.macros) < 100; i += 2 {
		s.macros[strings.Trim(pairs[i], "{}")] = pairs[i+1]
	}
}

// field takes an L frame: the name, NUL, every byte behind the colon, NUL. A NUL inside cuts nothing.
func (s *session) field(data []byte) error {
	name, value, _ := bytes.Cut(data, []byte{0})
	value = bytes.TrimSuffix(value, []byte{0})
	value = bytes.ReplaceAll(bytes.ReplaceAll(value, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
	if s.msg.size += len(data); s.msg.size > maxHeader || len(s.msg.fields) >= maxFields {
		return fmt.Errorf("a message from %q has more than 16 MiB or %d fields of headers", s.msg.sub.Sender.Address, maxFields)
	}
	s.msg.fields = append(s.msg.fields, policy.Field{Name: string(name), Value: string(value)})
	return nil
}

func (s *session) newConnection() {
	s.reset()
	s.macros, s.client = map[string]string{}, holdstore.Client{}
}

// reset forgets the message; what is staged of it is dropped.
func (s *session) reset() {
	s.forget()
	for _, name := range []string{"i", "auth_authen", "auth_type", "mail_addr"} {
		delete(s.macros, name)
	}
}

// forget drops the message, and what is staged of it.
func (s *session) forget() {
	m := s.msg
	s.msg = message{}
	if m.cancel != nil {
		defer m.cancel()
	}
	if m.put != nil {
		m.put.Abandon()
	}
}

// Connect takes the client as the MTA describes it.
func (s *session) Connect(host, _ string, port uint16, _ net.IP, _ *gomilter.Modifier) (r gomilter.Response, err error) {
	defer s.guard(&r)
	s.client = holdstore.Client{Name: s.macroOr("client_name", host), PTR: s.macros["client_ptr"], Port: int(port)}
	address, remote := peer(s.raw)
	if remote && !address.IsValid() {
		return nil, fmt.Errorf("the MTA's client address %q can't be read", s.raw)
	}
	if remote && port != 0 {
		s.client.Address = address.String()
	}
	return gomilter.RespContinue, nil
}

// peer reads the data of a C frame: host name, NUL, family, and for IP a port and an address. remote says that it is
// IP. Sendmail writes IPv6 addresses with a prefix that go-milter does not know; a client without an address would be
// taken for the gateway itself.
func peer(data []byte) (address netip.Addr, remote bool) {
	_, rest, _ := bytes.Cut(data, []byte{0})
	if len(rest) < 3 || rest[0] != '4' && rest[0] != '6' {
		return address, len(rest) > 0 && (rest[0] == '4' || rest[0] == '6')
	}
	text := strings.TrimSuffix(string(rest[3:]), "\x00")
	if len(text) > 5 && strings.EqualFold(text[:5], "IPv6:") {
		text = text[5:]
	}
	address, _ = netip.ParseAddr(text)
	return address, true
}

func (s *session) macroOr(name, otherwise string) string {
	if v := s.macros[name]; v != "" {
		return v
	}
	return otherwise
}

// Helo takes the client's own name.
func (s *session) Helo(name string, _ *gomilter.Modifier) (r gomilter.Response, err error) {
	defer s.guard(&r)
	s.client.HELO = name
	return gomilter.RespContinue, nil
}

// path reads the data of an M or R frame: the address, then ESMTP arguments, verbatim.
func path(data []byte) holdstore.Path {
	parts := strings0(data)
	if len(parts) == 0 {
		return holdstore.Path{}
	}
	address := parts[0]
	if strings.HasPrefix(address, "<") && strings.HasSuffix(address, ">") {
		address = address[1 : len(address)-1]
	}
	return holdstore.Path{Address: address, Args: parts[1:]}
}

// MailFrom begins a message.
func (s *session) MailFrom(string, *gomilter.Modifier) (r gomilter.Response, err error) {
	defer s.guard(&r)
	s.forget()
	macros := s.macros
	s.msg = message{sub: holdstore.Submission{Sender: path(s.raw), Client: s.client, Login: macros["auth_authen"],
		AuthType: macros["auth_type"], TLS: macros["tls_version"], Daemon: macros["daemon_name"], Gateway: macros["j"]}}
	if v := s.server.Policy().Decide(s.facts(policy.AtMail)); v.Certain && !v.Hold {
		return s.pass(v.Reason), nil
	}
	return gomilter.RespContinue, nil
}

// RcptTo takes one recipient.
func (s *session) RcptTo(string, *gomilter.Modifier) (r gomilter.Response, err error) {
	defer s.guard(&r)
	if len(s.msg.sub.Recipients) >= maxRcpt {
		return gomilter.RespTempFail, nil
	}
	s.msg.sub.Recipients = append(s.msg.sub.Recipients, path(s.raw))
	return gomilter.RespContinue, nil
}

// Header is never called: the adapter takes the fields.
func (s *session) Header(string, string, *gomilter.Modifier) (gomilter.Response, error) {
	return gomilter.RespContinue, nil
}

// Headers decides, and begins the hold.
func (s *session) Headers(textproto.MIMEHeader, *gomilter.Modifier) (r gomilter.Response, err error) {
	defer s.guard(&r)
	m := &s.msg
	m.sub.QueueID = s.macros["i"]
	m.sub.MessageID = first(m.fields, "Message-ID")
	m.judged = true
	m.verdict = s.server.Policy().Decide(s.facts(policy.AtHeaders))
	if !m.verdict.Hold {
		if m.verdict.Wish == "" {
			return s.pass(m.verdict.Reason), nil
		}
		return gomilter.RespContinue, nil // the wish is removed at the end of the message
	}
	m.ctx, m.cancel = context.WithCancel(s.ctx)
	m.put = s.server.Store.Put(m.sub, s.header())
	return gomilter.RespContinue, nil
}

// header returns the header block as it is held: without the wish.
func (s *session) header() []byte {
	var b bytes.Buffer
	for _, f := range s.msg.fields {
		if s.msg.verdict.Wish == "" || !strings.EqualFold(f.Name, s.msg.verdict.Wish) {
			b.WriteString(f.Name + ":" + f.Value + "\r\n")
		}
	}
	return b.Bytes()
}

// BodyChunk streams the body into the store.
func (s *session) BodyChunk(chunk []byte, _ *gomilter.Modifier) (r gomilter.Response, err error) {
	defer s.guard(&r)
	m := &s.msg
	if m.put == nil || m.err != nil {
		return gomilter.RespContinue, nil
	}
	if m.put.Size()+int64(len(chunk)) > s.server.MaxSize {
		return s.pass("larger than hold.max_size"), nil
	}
	// A piece may still be on its way when Write is back: only a Write that hangs may end the message's context.
	hangs := time.AfterFunc(storeBudget, m.cancel)
	defer hangs.Stop()
	m.err = m.put.Write(m.ctx, chunk)
	return gomilter.RespContinue, nil
}

// Body ends the message: the MTA hears DISCARD only when the store has it.
func (s *session) Body(mod *gomilter.Modifier) (r gomilter.Response, err error) {
	defer s.guard(&r)
	if len(s.raw) > 0 { // the last piece of the body may come in the end-of-body frame
		if r, err := s.BodyChunk(s.raw, mod); err != nil || r != gomilter.RespContinue {
			return r, err
		}
	}
	m := &s.msg
	if !m.judged {
		return s.storeFailed(errors.New("the MTA never ended the headers")), nil
	}
	if m.put == nil {
		if err := s.dropWish(mod); err != nil {
			return nil, err
		}
		return s.pass(m.verdict.Reason), nil
	}
	terms := holdstore.Terms{Rule: m.verdict.Rule, Grace: m.verdict.Grace}
	receipt, err := s.commit(terms)
	if err != nil {
		return s.storeFailed(err), nil
	}
	s.server.Log.Held(m.sub, receipt, terms, m.put.Size())
	m.put = nil
	s.last = receipt.ID
	s.reset()
	return gomilter.RespDiscard, nil
}

// dropWish removes the wish from a message that travels on, the last one first: each removal renumbers those behind.
func (s *session) dropWish(mod *gomilter.Modifier) error {
	if s.msg.verdict.Wish == "" || s.conn.offer.actions&gomilter.OptChangeHeader == 0 {
		return nil
	}
	n := 0
	for _, f := range s.msg.fields {
		if strings.EqualFold(f.Name, s.msg.verdict.Wish) {
			n++
		}
	}
	for ; n > 0; n-- {
		if err := mod.ChangeHeader(n, s.msg.verdict.Wish, ""); err != nil {
			return err
		}
	}
	return nil
}

// commit waits for the store, and keeps the MTA waiting with progress frames meanwhile.
func (s *session) commit(terms holdstore.Terms) (holdstore.Receipt, error) {
	if s.msg.err != nil {
		return holdstore.Receipt{}, s.msg.err
	}
	ctx, cancel := context.WithTimeout(s.ctx, storeBudget)
	defer cancel()
	type answer struct {
		receipt holdstore.Receipt
		err     error
	}
	done := make(chan answer, 1)
	put := s.msg.put
	go func() {
		a := answer{err: errors.New("a defect of the store, please report it")}
		defer func() {
			if v := recover(); v != nil {
				a.err = fmt.Errorf("%w: %v", a.err, v)
			}
			done <- a
		}()
		a.receipt, a.err = put.Commit(ctx, terms)
	}()
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case a := <-done:
			return a.receipt, a.err
		case <-tick.C:
			s.conn.reply('p') // an MTA that is gone shows at the next read; the outcome must be known in any case
		}
	}
}

// storeFailed does what on_store_failure says.
func (s *session) storeFailed(err error) gomilter.Response {
	sub := s.msg.sub
	s.reset()
	if s.server.OnStoreFailure == "deliver" {
		s.server.Log.Unheld(sub, err)
		return gomilter.RespAccept
	}
	s.server.Log.Deferred(sub, err)
	return tempfail("451 4.3.0 the hold store is not available, try again later")
}

// tempfail is a reply of its own words; the MTA takes "%" for a format.
func tempfail(text string) gomilter.Response {
	return gomilter.NewResponseStr('y', strings.ReplaceAll(text, "%", "%%"))
}

// pass lets the message go on unheld.
func (s *session) pass(reason string) gomilter.Response {
	s.server.Log.Passed(s.msg.sub, reason)
	s.reset()
	return gomilter.RespAccept
}

// Abort forgets the message.
func (s *session) Abort(*gomilter.Modifier) error {
	s.reset()
	return nil
}

func (s *session) facts(known policy.Stage) policy.Facts {
	sub := s.msg.sub
	f := policy.Facts{Known: known, Login: sub.Login, DaemonName: sub.Daemon, Sender: sub.Sender.Address, Now: time.Now()}
	f.Client, _ = netip.ParseAddr(sub.Client.Address)
	if known >= policy.AtHeaders {
		f.Header = s.msg.fields
		for _, r := range sub.Recipients {
			f.Recipients = append(f.Recipients, r.Address)
		}
		f.Ours = s.ours()
	}
	return f
}

// ours looks for our mark in the id clauses of the Received fields that say that they are ours.
func (s *session) ours() bool {
	looked := 0
	for _, f := range s.msg.fields {
		_, clause, ok := strings.Cut(f.Value, "(Recall Milter)")
		if !ok || !strings.EqualFold(f.Name, "Received") {
			continue
		}
		if looked++; looked > maxMarks {
			return false
		}
		words := strings.Fields(clause)
		for i := 0; i+1 < len(words); i++ {
			stamp := strings.TrimSuffix(words[i+1], ";")
			if words[i] == "id" && s.server.Mark.Genuine(stamp, s.msg.sub.Sender.Address, s.msg.sub.MessageID) {
				return true
			}
		}
	}
	return false
}

func first(fields []policy.Field, name string) string {
	for _, f := range fields {
		if strings.EqualFold(f.Name, name) {
			return strings.TrimSpace(strings.ToValidUTF8(f.Value, "?"))
		}
	}
	return ""
}
