// Package socketmap asks servers of Postfix's socketmap protocol (socketmap_table(5)): netstrings, "NAME KEY" for a
// question, and "OK TEXT", "NOTFOUND ", "TEMP WHY", "TIMEOUT WHY" or "PERM WHY" for an answer.
//
// Failure rules: everything but OK and NOTFOUND counts as unanswered, and nobody guesses one. A message waits a few
// seconds for all of its questions, and none while a server has just been found to hang. Answers are bounded.
package socketmap

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/recall-milter/recall-milter/internal/outage"
	"github.com/recall-milter/recall-milter/policy"
)

const (
	patience   = 5 * time.Second // for all questions of one message
	hungTime   = 5 * time.Second // without a question to a server that did not answer in time
	maxAnswer  = 100_000         // bytes, as in Postfix
	maxAsked   = 1000            // questions of one message
	maxKey     = 1000            // bytes
	maxIdle    = 8               // connections to one server that wait for the next question
	maxAtATime = 64              // connections to one server
)

// Client asks servers over connections that stay open. The zero value is ready.
type Client struct {
	Log outage.Log // is told of maps that stop answering, and of their first answer after that; nil: nobody is

	mu      sync.Mutex
	servers map[string]*server        // by network and address
	outages map[string]*outage.Outage // of maps, as rules name them
}

// server is one that is asked.
type server struct {
	network, address string
	slots            chan struct{}

	mu    sync.Mutex
	idle  []*conn
	until time.Time // it hangs, and is not asked before
}

type conn struct {
	net.Conn
	in *bufio.Reader
}

// Parse reads "socketmap:unix:/path:NAME" or "socketmap:inet:HOST:PORT:NAME".
func Parse(text string) (network, address, name string, err error) {
	rest, ok := strings.CutPrefix(text, "socketmap:")
	at := strings.LastIndexByte(rest, ':')
	if ok && at > 0 {
		address, name = rest[:at], rest[at+1:]
		switch kind, where, _ := strings.Cut(address, ":"); {
		case strings.ContainsAny(name, " \t\r\n") || name == "":
		case kind == "unix" && strings.HasPrefix(where, "/"):
			return "unix", where, name, nil
		case kind == "inet":
			if _, port, err := net.SplitHostPort(where); err == nil {
				if n, err := strconv.ParseUint(port, 10, 16); err == nil && n > 0 {
					return "tcp", where, name, nil
				}
			}
		}
	}
	return "", "", "", fmt.Errorf("invalid socketmap %q: use a value like \"@socketmap:unix:/path:NAME\" or "+
		"\"@socketmap:inet:HOST:PORT:NAME\"", "@"+text)
}

// Ask asks all questions, and returns what was answered; the answer to a question that could not be asked is the zero
// value.
func (c *Client) Ask(ctx context.Context, questions []policy.Question) map[policy.Question]policy.Answer {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answers := map[policy.Question]policy.Answer{}
	failed := map[*server]bool{}
	for n, q := range questions {
		answers[q] = policy.Answer{}
		network, address, name, err := Parse(q.Map)
		if err != nil || n >= maxAsked || len(q.Key) > maxKey {
			continue
		}
		s := c.server(network, address)
		if failed[s] {
			continue
		}
		asked := time.Now()
		a, err := s.ask(ctx, name, q.Key)
		failed[s] = err != nil && !errors.Is(err, errRefused)
		c.tell(q.Map, asked, err)
		answers[q] = a
	}
	return answers
}

// tell notes what came of a question. Each map has an outage of its own: a server can have one, and refuse another.
func (c *Client) tell(name string, asked time.Time, err error) {
	if c.Log == nil || errors.Is(err, errHangs) {
		return
	}
	c.mu.Lock()
	if c.outages == nil {
		c.outages = map[string]*outage.Outage{}
	}
	o := c.outages[name]
	if o == nil {
		o = &outage.Outage{}
		c.outages[name] = o
	}
	c.mu.Unlock()
	o.Note(c.Log, asked, err,
		name+" does not answer: mail that depends on it is held for the longest grace that was possible",
		name+" answers again")
}

func (c *Client) server(network, address string) *server {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.servers == nil {
		c.servers = map[string]*server{}
	}
	s := c.servers[network+" "+address]
	if s == nil {
		s = &server{network: network, address: address, slots: make(chan struct{}, maxAtATime)}
		c.servers[network+" "+address] = s
	}
	return s
}

var (
	errRefused = errors.New("it has not said OK or NOTFOUND") // it answers, but not this
	errHangs   = errors.New("it did not answer a moment ago")
)

// ask asks one question. A connection that the server has closed since the last one is replaced.
func (s *server) ask(ctx context.Context, name, key string) (policy.Answer, error) {
	if s.hangs() {
		return policy.Answer{}, errHangs
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return policy.Answer{}, ctx.Err()
	}
	for {
		c, used, err := s.connect(ctx)
		if err != nil {
			return policy.Answer{}, s.failed(ctx, err)
		}
		answer, err := c.ask(ctx, name, key)
		if err == nil || errors.Is(err, errRefused) {
			s.keep(c)
			return answer, err
		}
		c.Close()
		if !used || ctx.Err() != nil {
			return policy.Answer{}, s.failed(ctx, err)
		}
	}
}

func (s *server) hangs() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.until)
}

// failed notes a server that lets us wait.
func (s *server) failed(ctx context.Context, err error) error {
	var timeout net.Error
	if ctx.Err() != nil || errors.As(err, &timeout) && timeout.Timeout() {
		s.mu.Lock()
		s.until = time.Now().Add(hungTime)
		s.mu.Unlock()
	}
	return err
}

func (s *server) connect(ctx context.Context) (c *conn, used bool, err error) {
	s.mu.Lock()
	if n := len(s.idle); n > 0 {
		c, s.idle = s.idle[n-1], s.idle[:n-1]
	}
	s.mu.Unlock()
	if c != nil {
		return c, true, nil
	}
	nc, err := (&net.Dialer{}).DialContext(ctx, s.network, s.address)
	if err != nil {
		return nil, false, err
	}
	return &conn{nc, bufio.NewReader(nc)}, false, nil
}

func (s *server) keep(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.idle) < maxIdle && c.in.Buffered() == 0 {
		s.idle = append(s.idle, c)
		return
	}
	c.Close()
}

// Close closes the connections that wait; the next question opens one.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.servers {
		s.mu.Lock()
		for _, idle := range s.idle {
			idle.Close()
		}
		s.idle = nil
		s.mu.Unlock()
	}
}

func (c *conn) ask(ctx context.Context, name, key string) (policy.Answer, error) {
	deadline, _ := ctx.Deadline()
	if err := c.SetDeadline(deadline); err != nil {
		return policy.Answer{}, err
	}
	question := name + " " + key
	if _, err := fmt.Fprintf(c, "%d:%s,", len(question), question); err != nil {
		return policy.Answer{}, err
	}
	text, err := readNetstring(c.in)
	if err != nil {
		return policy.Answer{}, err
	}
	return read(text)
}

// read reads an answer.
func read(text string) (policy.Answer, error) {
	switch word, rest, _ := strings.Cut(text, " "); word {
	case "OK":
		return policy.Answer{Known: true, Found: true, Text: strings.TrimSpace(rest)}, nil
	case "NOTFOUND":
		return policy.Answer{Known: true}, nil
	case "TEMP", "TIMEOUT", "PERM":
		return policy.Answer{}, fmt.Errorf("%w but %s", errRefused, word)
	}
	return policy.Answer{}, fmt.Errorf("%w", errRefused)
}

// readNetstring reads LENGTH ":" BYTES ",".
func readNetstring(r *bufio.Reader) (string, error) {
	length := 0
	for digits := 0; ; digits++ {
		b, err := r.ReadByte()
		switch {
		case err != nil:
			return "", err
		case b == ':' && digits > 0:
			text := make([]byte, length+1)
			if _, err := io.ReadFull(r, text); err != nil {
				return "", err
			}
			if text[length] != ',' {
				return "", errors.New("an answer does not end where it says")
			}
			return string(text[:length]), nil
		case b < '0' || b > '9' || length*10+int(b-'0') > maxAnswer:
			return "", fmt.Errorf("an answer is not a netstring of at most %d bytes", maxAnswer)
		}
		length = length*10 + int(b-'0')
	}
}
