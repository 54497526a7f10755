package mailbox

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/recall-milter/recall-milter/internal/lazyregexp"
)

// Exchange says in words only, and not in response codes, that it is busy or that a mailbox stays closed.
var backoff = lazyregexp.New(`(?i)suggested backoff time: ?(\d{1,9}) ?milliseconds`)

// longestWait bounds how long a server may ask us to wait.
const longestWait = time.Hour

// throttled says whether a server refuses only because it is asked too often.
func throttled(said *imap.Error) bool {
	text := strings.ToLower(said.Text)
	return strings.Contains(text, "request is throttled") || strings.Contains(text, "too many simultaneous connections") ||
		said.Code == imap.ResponseCodeLimit
}

// Wait is for how long a server that is asked too often wants to be left alone; 0: it doesn't say.
func Wait(err error) time.Duration {
	if by := new(errResting); errors.As(err, &by) {
		return by.wait
	}
	if by := new(graphError); errors.As(err, &by) {
		return min(by.wait, longestWait)
	}
	said := new(imap.Error)
	if !errors.As(err, &said) {
		return 0
	}
	m := backoff.FindStringSubmatch(said.Text)
	if m == nil {
		return 0
	}
	ms, _ := strconv.Atoi(m[1])
	return min(time.Duration(ms)*time.Millisecond, longestWait)
}

// notConnected says whether a login that was accepted opens nothing: the account may not open this mailbox, or there is
// none.
func notConnected(said *imap.Error) bool {
	return strings.Contains(strings.ToLower(said.Text), "authenticated but not connected")
}
