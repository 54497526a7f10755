// Package trial says what would become of a message, without sending it. It reads the message as the MTA gives it to a
// milter, and asks the rules.
package trial

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/emersion/go-message/textproto"

	"github.com/recall-milter/recall-milter/internal/attachment"
	"github.com/recall-milter/recall-milter/policy"
)

// Message is a message that is not sent: its envelope, and where it would come from.
type Message struct {
	Sender     string // with or without <>
	Recipients []string
	Login      string         // SASL; empty: none
	Client     netip.Addr     // invalid: sendmail(1) on the gateway itself
	DaemonName string         // of the MTA's service
	Now        time.Time      // of the rules' time conditions
	OwnGrace   *time.Duration // that the sender has chosen; nil: none
	Size       int64          // bytes; 0: as long as the text
}

// Rules are what is asked.
type Rules struct {
	*policy.Outbound
	MaxSize int64 // hold.max_size, bytes

	// Ask asks socketmaps; nil: nobody is asked, and the longest grace that is possible counts.
	Ask func(ctx context.Context, questions []policy.Question) map[policy.Question]policy.Answer
}

// ErrHeader says that the header of a message can't be read.
var ErrHeader = errors.New("the message's header can't be read")

// Most bounds a message, in bytes.
const Most = 1 << 30

// Verdict is what the rules say of a message whose text is read from a reader. The error is ErrHeader, or that of the
// reader.
func (r Rules) Verdict(ctx context.Context, m Message, from io.Reader) (v policy.Verdict, err error) {
	f := policy.Facts{Known: policy.AtEnd, Login: m.Login, Client: m.Client, DaemonName: m.DaemonName,
		Sender: bare(m.Sender), Now: m.Now, OwnGrace: m.OwnGrace, Explain: true}
	for _, to := range m.Recipients {
		f.Recipients = append(f.Recipients, bare(to))
	}
	counted := &counter{from: io.LimitReader(from, Most)}
	text := bufio.NewReader(counted)
	if f.Header, err = ReadHeader(text); err != nil {
		return v, err
	}
	files := attachment.New(f.Header)
	if _, err := io.Copy(files, text); err != nil {
		return v, fmt.Errorf("the message can't be read: %w", err)
	}
	files.End()
	var whole bool
	f.Files, whole = files.Files()
	f.MoreFiles = !whole
	f.Size = max(counted.n, m.Size)
	if v = r.Decide(f); len(v.Asks) > 0 && r.Ask != nil {
		f.Answers = r.Ask(ctx, v.Asks)
		v = r.Decide(f)
	}
	if v.Hold && f.Size > r.MaxSize {
		v.Hold = false
		v.Reason = policy.Reason{Code: policy.TooLarge,
			Text: fmt.Sprintf("%d bytes are more than hold.max_size (%d)", f.Size, r.MaxSize)}
	}
	return v, nil
}

func bare(address string) string { return strings.Trim(address, "<>") }

// ReadHeader reads fields. The MTA gives a milter folds as CRLF, so a text with LF gets them too.
func ReadHeader(r *bufio.Reader) (all []policy.Field, err error) {
	header, err := textproto.ReadHeader(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHeader, err)
	}
	for fields := header.Fields(); fields.Next(); {
		raw, err := fields.Raw()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrHeader, err)
		}
		name, value, _ := strings.Cut(string(raw), ":")
		all = append(all, policy.Field{Name: name, Value: strings.TrimRight(CRLF(value), "\r\n")})
	}
	return all, nil
}

// CRLF gives every line the end that it has on the wire.
func CRLF(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n")
}

// counter counts the bytes that are read.
type counter struct {
	from io.Reader
	n    int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	return n, err
}
