package mailbox

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/recall-milter/recall-milter/internal/sanitize"
)

// maxSaid is how many bytes a server may say in one job: about a thousand folders, and the headers of some copies.
const maxSaid = 2 << 20

var errTooMuch = fmt.Errorf("the IMAP server says more than %d bytes", maxSaid)

// box is an open mailbox.
type box struct {
	*imapclient.Client
	ctx     context.Context // of the job: its end closes the connection
	s       *IMAP
	user    string
	kept    bool // the access token was got for an earlier login
	release func() bool
	caps    imap.CapSet
}

// bounded is a connection that has one deadline, which the IMAP client does not move, and an end to what it reads.
type bounded struct {
	net.Conn
	left int
}

func (c *bounded) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errTooMuch
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

func (c *bounded) SetReadDeadline(time.Time) error  { return nil }
func (c *bounded) SetWriteDeadline(time.Time) error { return nil }

// open is connect. A token that was kept may have been withdrawn: then another is fetched.
func (b *IMAP) open(ctx context.Context, user string) (*box, error) {
	o, err := b.connect(ctx, user)
	if errors.Is(err, ErrLogin) && o.kept {
		b.tokens.forget(user)
		o, err = b.connect(ctx, user)
	}
	if err != nil {
		return nil, err
	}
	return o, nil
}

// connect connects and logs in for a user; without one it does not log in. With an error the box is closed.
func (b *IMAP) connect(ctx context.Context, user string) (*box, error) {
	conn, err := b.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("the IMAP server at %s can't be reached: %w", b.s.Address, err)
	}
	o := &box{ctx: ctx, s: b, user: user, release: context.AfterFunc(ctx, func() { conn.Close() })}
	if o.Client, err = await(o, func() (*imapclient.Client, error) { return b.greet(conn) }); err == nil && user != "" {
		err = o.login()
	}
	if err != nil {
		o.close()
		return o, because(ctx, err)
	}
	return o, nil
}

// dial connects, and with tls = "implicit" makes it private at once.
func (b *IMAP) dial(ctx context.Context) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", b.s.Address)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	if b.s.TLS == "implicit" {
		private := tls.Client(conn, b.tlsConfig())
		if err := private.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		conn = private
	}
	return &bounded{Conn: conn, left: maxSaid}, nil
}

func (b *IMAP) tlsConfig() *tls.Config {
	host, _, _ := net.SplitHostPort(b.s.Address)
	return &tls.Config{RootCAs: b.roots, ServerName: host, MinVersion: tls.VersionTLS12, NextProtos: []string{"imap"}}
}

// greet makes a client of a connection.
func (b *IMAP) greet(conn net.Conn) (*imapclient.Client, error) {
	if b.s.TLS == "starttls" {
		c, err := imapclient.NewStartTLS(conn, &imapclient.Options{TLSConfig: b.tlsConfig()})
		if err != nil {
			return nil, fmt.Errorf("no STARTTLS with %s: %w", b.s.Address, err)
		}
		return c, nil
	}
	c := imapclient.New(conn, nil)
	if err := c.WaitGreeting(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// close ends the connection; a server that does not answer LOGOUT has had its time.
func (o *box) close() {
	if o.Client != nil {
		if o.State() != imap.ConnStateLogout {
			_ = o.do(func() error { return o.Logout().Wait() })
		}
		_ = o.do(o.Client.Close)
	}
	o.release()
}

// canExpunge says whether one message can be removed without those that the user has marked (RFC 4315).
func (o *box) canExpunge() bool { return o.caps.Has(imap.CapUIDPlus) || o.caps.Has(imap.CapIMAP4rev2) }

func (o *box) knowsChanges() bool { return o.caps.Has(imap.CapCondStore) }

// because prefers the reason why we hung up to what the connection says of it.
func because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("the IMAP server took too long: %w", ctx.Err())
	}
	return err
}

// refusal says why a server refuses for good; empty: it doesn't, so err is worth another try.
func refusal(err error) string {
	var said *imap.Error
	if !errors.As(err, &said) || said.Type == imap.StatusResponseTypeBye || throttled(said) || notConnected(said) {
		return ""
	}
	switch said.Code {
	case imap.ResponseCodeUnavailable, imap.ResponseCodeInUse, imap.ResponseCodeServerBug, imap.ResponseCodeLimit:
		return ""
	}
	return "the mail server refused: " + sanitize.ServerReply(said.Text)
}
