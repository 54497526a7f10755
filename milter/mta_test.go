package milter

import (
	"context"
	"encoding/binary"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/policy"
	"github.com/recall-milter/recall-milter/test/server"
)

func TestMain(m *testing.M) { os.Exit(server.WithoutLeaks(m)) }

// rig is a milter in front of a store in memory; its clock is the bubble's, so that minutes of waiting take no time.
type rig struct {
	*Server
	t     *testing.T
	store *memory
	log   *notes
	port  *pipes
	drain context.CancelFunc
	ended chan struct{}
}

// bubble runs a test with a milter of its own, and fails when a goroutine outlives it.
func bubble(t *testing.T, test func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		test(r)
		r.stop()
	})
}

func newRig(t *testing.T) *rig {
	ctx, cancel := context.WithCancel(context.Background())
	r := &rig{t: t, store: newMemory(), log: &notes{}, port: newPipes(), drain: cancel, ended: make(chan struct{})}
	r.Server = &Server{Policy: func() Policy { return verdicts(holdAll) }, Store: r.store,
		Mark: mark.New([]byte("secret")),
		Log:  r.log, OnStoreFailure: "tempfail", MaxSize: 50 << 20}
	go func() { defer close(r.ended); r.Serve(ctx, r.port) }()
	return r
}

func (r *rig) stop() {
	r.drain()
	<-r.ended
}

// verdicts is a policy of one function.
type verdicts func(policy.Facts) policy.Verdict

func (v verdicts) Decide(f policy.Facts) policy.Verdict { return v(f) }

// holdAll holds everything but the null sender, and removes a wish.
func holdAll(f policy.Facts) policy.Verdict {
	v := policy.Verdict{Certain: f.Known >= policy.AtHeaders, Hold: true, Rule: "default", Grace: 60e9}
	if f.Sender == "" {
		return policy.Verdict{Certain: true, Reason: policy.Reason{Code: policy.NullSender, Text: "null sender"}}
	}
	for _, field := range f.Header {
		if strings.EqualFold(field.Name, "X-Hold-For") {
			v.Wishes = []string{"X-Hold-For"}
			v.Hold = strings.TrimSpace(field.Value) != "0"
			v.Reason = policy.Reason{Code: policy.ByWish, Text: "asked for nothing"}
		}
		if field.Name == policy.UntilField {
			v.Wishes = append(v.Wishes, policy.UntilField)
		}
	}
	return v
}

// pipes is a port in memory.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// mta is the other side of one connection, and does what the test says.
type mta struct {
	t     *testing.T
	conn  net.Conn
	quick bool // does not wait where it need not
}

// What both real MTAs offer.
const (
	allActions  = 0x1ff
	allProtocol = 0x1fffff
)

// noReply are the flags of an MTA that need not wait for replies to connection, HELO, MAIL and body (libmilter's
// SMFIP_NR_CONN, SMFIP_NR_HELO, SMFIP_NR_MAIL, SMFIP_NR_BODY).
const noReply = 1<<12 | 1<<13 | 1<<14 | 1<<19

// connect dials without a word.
func (r *rig) connect() *mta {
	here, there := net.Pipe()
	r.port.conns <- there
	r.t.Cleanup(func() { here.Close() })
	return &mta{t: r.t, conn: here}
}

// mta connects, negotiates, and introduces a client. It waits for each reply.
func (r *rig) mta() *mta { r.t.Helper(); return r.begins(r.connect(), allProtocol&^noReply) }

// quickMTA is one that waits for no reply where it need not, as both real MTAs do.
func (r *rig) quickMTA() *mta {
	r.t.Helper()
	m := r.connect()
	m.quick = true
	return r.begins(m, allProtocol)
}

func (r *rig) begins(m *mta, protocol uint32) *mta {
	r.t.Helper()
	m.ask('O', offered(6, allActions, protocol), 'O')
	m.send('D', "C", "j", "gw.corp.test", "{daemon_name}", "ORIGINATING", "{client_addr}", "192.0.2.7")
	m.ask('C', "client.corp.test\x004"+"\x04\x00"+"192.0.2.7\x00", 'c')
	m.ask('H', "client\x00", 'c')
	return m
}

func offered(version, actions, protocol uint32) string {
	var b []byte
	for _, v := range []uint32{version, actions, protocol} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return string(b)
}

// send writes one frame: data, or for several parts each ended by NUL after the first of a D frame.
func (m *mta) send(code byte, parts ...string) {
	data := strings.Join(parts, "\x00")
	if code == 'D' && len(parts) > 1 {
		data = parts[0] + strings.Join(parts[1:], "\x00") + "\x00"
	}
	m.write(frame{code, []byte(data)}.bytes())
}

// write ignores errors: a milter that hangs up shows in the reply that does not come.
func (m *mta) write(b []byte) { m.conn.Write(b) }

// reply reads one frame, skipping progress; code 0: the milter closed the connection.
func (m *mta) reply() frame {
	for {
		f, err := readFrame(m.conn)
		if err != nil {
			return frame{}
		}
		if f.code != 'p' {
			return f
		}
	}
}

// ask sends a frame and wants an answer of this code (0: the connection is closed); it returns its data.
func (m *mta) ask(code byte, data string, want byte) string {
	m.t.Helper()
	m.send(code, data)
	if m.quick && want == 'c' && strings.IndexByte("CHMB", code) >= 0 {
		return ""
	}
	f := m.reply()
	if f.code != want {
		m.t.Fatalf("%c is answered by %q %q, want %q", code, f.code, f.data, want)
	}
	return string(f.data)
}

// begin sends MAIL and RCPT, as Postfix does it.
func (m *mta) begin(sender string, rcpts ...string) {
	m.t.Helper()
	m.ask('M', "<"+sender+">\x00", 'c')
	for _, to := range rcpts {
		m.send('D', "R", "i", "4XyZ")
		m.ask('R', "<"+to+">\x00", 'c')
	}
}

// header sends fields, each "Name:value", and the end of the headers.
func (m *mta) header(want byte, fields ...string) {
	m.t.Helper()
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ":")
		m.send('L', name, value+"\x00")
	}
	m.ask('N', "", want)
}

// message sends a whole message, and wants this answer at its end.
func (m *mta) message(id string, want byte) string {
	m.t.Helper()
	m.begin("a@corp.test", "b@x.test")
	m.header('c', "Message-ID: <"+id+">", "Subject: the price list")
	m.ask('B', "body of "+id+"\r\n", 'c')
	return m.ask('E', "", want)
}

func (m *mta) abort() { m.send('A') }

// hangUp closes without a word.
func (m *mta) hangUp() { m.conn.Close() }
