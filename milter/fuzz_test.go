package milter

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/internal/mark"
)

// FuzzFrame reads frames from arbitrary bytes: what is read is what was there, and never more than a frame may have.
func FuzzFrame(f *testing.F) {
	for _, seed := range []string{"", "\x00\x00\x00\x00", "\x00\x00\x00\x01Q", "\x00\x10\x00\x01B", "\xff\xff\xff\xffO", "\x00\x00\x00\x03Bxy\x00\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		for {
			before := len(data) - r.Len()
			got, err := readFrame(r)
			if err != nil {
				return
			}
			if len(got.data) >= maxFrame || !bytes.Equal(got.bytes(), data[before:len(data)-r.Len()]) {
				t.Fatalf("frame %q of %q", got, data)
			}
		}
	})
}

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
	f.Add(frames(client, macro, mail, rcpt, field, eoh, body, end, frame{code: 'A'}, mail, rcpt, wish, eoh, body, end, frame{code: 'Q'}))
	f.Add(frames(mail, rcpt, eoh, end, mail, rcpt, eoh, frame{code: 'K'}, client, frame{'H', []byte("x\x00")}, frame{'M', []byte("<>\x00")}))
	f.Add(frames(mail, mail, rcpt, field, frame{'L', nil}, eoh, eoh))
	f.Add([]byte("\x00\x00\x00\x09Mhal"))
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
	for _, seed := range []string{"", "<>\x00", "<a@b>\x00SIZE=1\x00BODY=8BITMIME\x00", "a@b\x00", "<\"a>b\"@c>\x00", "<", "<@a,@b:c@d>\x00ORCPT=rfc822;x+20y", "\x00\x00"} {
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
	for _, seed := range []string{"", "M", "Mi\x004XyZ\x00", "Cj\x00gw\x00{client_addr}\x00192.0.2.7\x00", "Modd\x00", "M\x00\x00\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &session{macros: map[string]string{}}
		s.macro(data)
		if len(s.macros) > maxMacros {
			t.Errorf("%d macros", len(s.macros))
		}
		for name, value := range s.macros {
			if len(name)+len(value) > maxMacro || strings.ContainsRune(name+value, 0) {
				t.Errorf("%q=%q", name, value)
			}
		}
	})
}

// FuzzField captures a field: but for line ends, which become CRLF, every byte of its value stays.
func FuzzField(f *testing.F) {
	for _, seed := range []string{"", "Subject\x00 x\x00", "X\x00a\n\tb\x00", "X\x00a\r\nb\x00", "X\x00\x00", "\x00v\x00", "X\x00a\x00b\x00", "X\x00\r\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &session{}
		s.field(data)
		got := s.msg.fields[0]
		name, value, _ := strings.Cut(string(data), "\x00")
		plain := func(v string) string { return strings.ReplaceAll(v, "\r\n", "\n") }
		if got.Name != name || plain(got.Value) != plain(strings.TrimSuffix(value, "\x00")) || strings.Count(got.Value, "\n") != strings.Count(got.Value, "\r\n") {
			t.Errorf("%q gives %q: %q", data, got.Name, got.Value)
		}
	})
}
