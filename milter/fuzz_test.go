package milter

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/authenticate"
	"github.com/recall-milter/recall-milter/internal/inbound"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/protocol"
	"github.com/recall-milter/recall-milter/internal/retraction"
	"github.com/recall-milter/recall-milter/policy"
)

// FuzzSession plays arbitrary bytes behind a negotiation to a whole session: it ends by itself, nothing panics, and
// what it began in the store is held or abandoned.
func FuzzSession(f *testing.F) {
	frames := func(all ...frame) (b []byte) {
		for _, one := range all {
			b = append(b, one.bytes()...)
		}
		return b
	}
	client := frame{'C', []byte("c.test\x004\x04\x00192.0.2.7\x00")}
	mail, rcpt := frame{'M', []byte("<a@corp.test>\x00SIZE=1\x00")}, frame{'R', []byte("<b@x.test>\x00NOTIFY=NEVER\x00")}
	field, wish := frame{'L', []byte("Subject\x00 x\n\ty\x00")}, frame{'L', []byte("X-Hold-For\x00 0\x00")}
	eoh, body, end := frame{code: 'N'}, frame{'B', []byte("body\r\n")}, frame{'E', []byte("tail")}
	macro := frame{'D', []byte("Mi\x004XyZ\x00{auth_authen}\x00a\x00")}
	f.Add(frames(client, macro, mail, rcpt, field, eoh, body, end, frame{code: 'A'}, mail, rcpt, wish, eoh, body, end,
		frame{code: 'Q'}))
	f.Add(frames(mail, rcpt, eoh, end, mail, rcpt, eoh, frame{code: 'K'}, client, frame{'H', []byte("x\x00")},
		frame{'M', []byte("<>\x00")}))
	f.Add(frames(mail, mail, rcpt, field, frame{'L', nil}, eoh, eoh))
	f.Add([]byte("\x00\x00\x00\x09Mhal"))
	f.Add(frames(mail, eoh, end))
	f.Fuzz(func(t *testing.T, data []byte) {
		store, log := newMemory(), &notes{}
		srv := &Server{Policy: func() Policy { return verdicts(holdAll) }, Store: store, Mark: mark.New([]byte("secret")),
			Log: log, OnStoreFailure: "tempfail", MaxSize: 1 << 20}
		here, there := net.Pipe()
		read := make(chan struct{})
		go func() { defer close(read); io.Copy(io.Discard, here) }()
		go func() {
			here.Write(frames(frame{'O', []byte(offered(6, allActions, allProtocol))}))
			here.Write(data)
			here.Close()
		}()
		srv.session(context.Background(), there)
		<-read
		if store.begun != store.abandoned+log.count("held") {
			t.Errorf("%d begun, %d abandoned, %d held; %q", store.begun, store.abandoned, len(store.holds), log.lines)
		}
		if log.count("deferred a defect") > 0 {
			t.Errorf("%q", log.lines)
		}
	})
}

// FuzzPath reads envelope addresses: every byte stays, but for the angle brackets and the NULs between.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"", "<>\x00", "<a@b>\x00SIZE=1\x00BODY=8BITMIME\x00", "a@b\x00", "<\"a>b\"@c>\x00", "<",
		"<@a,@b:c@d>\x00ORCPT=rfc822;x+20y", "\x00\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := path(data)
		if err != nil {
			return
		}
		whole := strings.TrimSuffix(string(data), "\x00")
		bare := strings.Join(append([]string{p.Address}, p.Args...), "\x00")
		inBrackets := strings.Join(append([]string{"<" + p.Address + ">"}, p.Args...), "\x00")
		if bare != whole && inBrackets != whole {
			t.Errorf("%q gives %+v", data, p)
		}
		if len(p.Args) > maxArgs {
			t.Errorf("%d arguments", len(p.Args))
		}
	})
}

// FuzzMacros reads macros: their number and length stay within bounds.
func FuzzMacros(f *testing.F) {
	for _, seed := range []string{"", "M", "Mi\x004XyZ\x00", "Cj\x00gw\x00{client_addr}\x00192.0.2.7\x00", "Modd\x00",
		"M\x00\x00\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &session{macros: map[string]string{}}
		_ = s.macro(data)
		if len(s.macros) > maxMacros {
			t.Errorf("%d macros", len(s.macros))
		}
		bytes := 0
		for name, value := range s.macros {
			if bytes += len(name) + len(value); strings.ContainsRune(name+value, 0) {
				t.Errorf("%q=%q", name, value)
			}
		}
		if bytes != s.macroBytes || bytes > maxMacroBytes {
			t.Errorf("%d bytes, counted as %d", bytes, s.macroBytes)
		}
	})
}

// FuzzField captures a field: but for line ends, which become CRLF, every byte of its value stays.
func FuzzField(f *testing.F) {
	for _, seed := range []string{"", "Subject\x00 x\x00", "X\x00a\n\tb\x00", "X\x00a\r\nb\x00", "X\x00\x00", "\x00v\x00",
		"X\x00a\x00b\x00", "X\x00\r\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &session{server: &Server{}}
		s.field(data)
		got := s.msg.fields[0]
		name, value, _ := strings.Cut(string(data), "\x00")
		plain := func(v string) string { return strings.ReplaceAll(v, "\r\n", "\n") }
		if got.Name != name || plain(got.Value) != plain(strings.TrimSuffix(value, "\x00")) ||
			strings.Count(got.Value, "\n") != strings.Count(got.Value, "\r\n") {
			t.Errorf("%q gives %q: %q", data, got.Name, got.Value)
		}
	})
}

// blank is what a gate needs, where nothing is known and nothing comes of anything.
type blank struct{}

func (blank) Reaches(string) bool                                                   { return false }
func (blank) Remember(context.Context, []holdstore.Remembered, time.Duration) error { return nil }
func (blank) FindRemembered(context.Context, string, string, string, []string) ([]holdstore.Remembered, error) {
	return nil, nil
}
func (blank) FirstUse(context.Context, string, string, time.Duration) (bool, error) { return true, nil }
func (blank) Count(context.Context, time.Duration, ...holdstore.Tally) ([]int, error) {
	return []int{1, 1, 1, 1}, nil
}
func (blank) Request(context.Context, string) (holdstore.Request, error) {
	return holdstore.Request{}, nil
}
func (blank) Audit(context.Context, string, string, holdstore.Actor, string) error { return nil }
func (blank) Judged(holdstore.Submission, string, string, policy.InboundVerdict)   {}
func (blank) Trouble(string, error)                                                {}
func (blank) Recovered(string, time.Duration)                                      {}
func (blank) AcceptOrder(context.Context, retraction.Order, bool) (bool, error)    { return false, nil }
func (blank) MayAnswerUs(protocol.Status) bool                                     { return true }
func (blank) AcceptStatus(context.Context, protocol.Status, string) error          { return nil }
func (blank) Receipts(context.Context, []protocol.Receipt) error                   { return nil }

// FuzzArrival lets mail with arbitrary header and body come in, as an MTA hands it over: the gate looks at it and
// judges it, nothing panics, and nobody forges a pass.
func FuzzArrival(f *testing.F) {
	const from = "From: a@x.test\nDate: Tue, 24 Nov 2026 09:00:00 +0000\nMessage-ID: <m@x.test>\n"
	f.Add([]byte(from+"X-Recall-Policy: pass\nAuthentication-Results: gw.corp.test; x"), []byte("body\r\n"))
	f.Add([]byte(from+"Subject: Recall: x\nX-CallingTelephoneNumber: IPM.Note\nX-VoiceMessageDuration: "+
		"1\nX-FaxNumberOfPages: 0\nCancel-Key: sha256:YQ=="), []byte("x"))
	f.Add([]byte(from+"Content-Type: multipart/report; report-type=recall-request; boundary=b\nAuthentication-Results: "+
		"mx.test/Q; dkim=pass header.d=x.test"),
		[]byte("--b\r\nContent-Type: message/recall-request\r\n\r\nRequest-Id: 1\r\nOriginal-Message-ID: "+
			"<o@x.test>\r\n\r\n--b--\r\n"))
	f.Add([]byte(from+"Content-Type: multipart/report; report-type=recall-status; boundary=b"),
		[]byte("--b\r\nContent-Type: message/recall-status\r\n\r\nRequest-Id: 1\r\n\r\nFinal-Recipient: rfc822; "+
			"b@x.test\r\nOutcome: retracted\r\n\r\n--b--\r\n"))
	f.Add([]byte(from+"Content-Type: multipart/mixed; boundary=b\nSubject: Recall: x\nARC-Seal: i=1; cv=none; d=s.test"),
		[]byte("--b\r\nContent-Type: application/ms-tnef\r\n\r\n\x78\x9f\x3e\x22"))
	everybody, _ := policy.ParsePatterns([]string{"*"})
	gate := inbound.New(inbound.Options{AuthservID: "gw.corp.test", Prefixes: []string{"Recall:"}, Remember: time.Hour,
		Verifier: authenticate.New(nil, authenticate.Options{Trust: []string{"mx.test"}}),
		Rules: policy.InboundRules{{Name: "default", Partners: everybody, Require: []string{"aligned"}, MaxAge: time.Hour,
			OnFail: "tag"}}}, blank{}, blank{}, blank{})
	f.Fuzz(func(t *testing.T, header, body []byte) {
		s := &session{server: &Server{}}
		for line := range bytes.SplitSeq(header, []byte("\n")) {
			s.field(bytes.Replace(line, []byte(":"), []byte{0}, 1))
		}
		m := inbound.Mail{Message: mailmsg.Message{Fields: s.msg.fields, Body: body}}
		m.Client.Address, m.Sender.Address, m.QueueID, m.MessageID = "192.0.2.1", "a@x.test", "Q", first(m.Fields,
			"Message-ID")
		m.Recipients = []holdstore.Path{{Address: "b@corp.test"}}
		gate.Examine(&m)
		gate.Remember(&m)
		for _, field := range gate.Judge(context.Background(), &m).Add {
			if field.Name == "X-Recall-Policy" && strings.HasPrefix(field.Value, "pass") ||
				strings.Contains(field.Value, "x-recall=pass") {
				t.Errorf("%q passes by %q, of which nothing is known", header, field.Value)
			}
		}
	})
}
