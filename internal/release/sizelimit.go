package release

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

const (
	leastLimit = 64 << 10         // every server takes so many bytes (RFC 5321 section 4.5.3.1.7)
	believed   = 30 * time.Second // how long what the port has said of its limit counts
	askTime    = 5 * time.Second  // for each step of asking: somebody waits
)

// sizeLimit is how large a message the port takes, as it says in its answer to EHLO.
type sizeLimit struct {
	mu    sync.Mutex
	bytes int64     // 0: any size, or it never answered
	asked time.Time // the last time, with or without an answer
}

// hear keeps what the port has said to a client.
func (s *sizeLimit) hear(c *client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(c)
}

func (s *sizeLimit) keep(c *client) {
	s.bytes, _ = strconv.ParseInt(c.offers["SIZE"], 10, 64)
	s.asked = time.Now()
}

// now is the limit, 0 for none. The first worker that finds it old asks the port, and the others wait for it; a port
// that does not answer means what it said before.
func (s *sizeLimit) now(port, gateway string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.asked) > believed {
		s.asked = time.Now()
		if c, err := dial(context.Background(), port, gateway, askTime); err == nil {
			s.keep(c)
			c.quit()
		}
	}
	return s.bytes
}

// TooLarge says why the port may refuse a message of size bytes when its grace ends, although the MTA takes it in now;
// "" when it won't. It may ask the port, which can take some seconds.
func (l *Loop) TooLarge(sub holdstore.Submission, size int64) string {
	most := counted(sub, size)
	if most <= leastLimit {
		return ""
	}
	port := l.o.portOf(sub.Daemon)
	limit := l.limits[port].now(port, sub.Gateway)
	if limit <= 0 || most <= limit {
		return ""
	}
	return fmt.Sprintf("larger than the re-injection port is sure to take: its %d bytes may count as %d there, and the "+
		"limit is %d", size, most, limit)
}

// counted is the most that the port may count for a message. Sendmail counts content; Postfix limits its queue file,
// which has each address in up to four records, another byte for each line above 127 bytes, and what Postfix and we
// write about the client: fields, XFORWARD, the signature of a signer at the port.
func counted(sub holdstore.Submission, size int64) int64 {
	const aboutClient = 16 << 10
	n := size + size/128 + aboutClient + ofAddress(sub.Sender)
	for _, r := range sub.Recipients {
		n += ofAddress(r)
	}
	return n
}

func ofAddress(p holdstore.Path) int64 {
	n := 128 + 4*len(p.Address)
	for _, arg := range p.Args {
		n += len(arg)
	}
	return int64(n)
}
