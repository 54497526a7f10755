package correspondents

import (
	"bufio"
	"io"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/internal/lazyregexp"
)

// Bounds of a mail log.
const (
	maxLogLine = 64 << 10 // bytes; longer lines are cut
	maxOpen    = 200_000  // messages of which only the sender was seen yet; beyond that, the older half is forgotten
)

// Delivery is one message to one recipient, as a mail log tells it.
type Delivery struct {
	Sender, Recipient string
	At                time.Time
}

var (
	// "postfix/qmgr[12]: 4XyZ: from=<a@b>, size=..." and Sendmail's "sendmail[12]: 0AB: from=<a@b>, ..."
	logLine = lazyregexp.New(`(?:postfix[-\w.]*/[-\w/]+|sendmail|sm-mta)\[\d+\]: ([A-Za-z0-9]+): ` +
		`(from|to)=<?([^>,]*)>?,(.*)`)
	// What was delivered, and not bounced or deferred.
	logSent = lazyregexp.New(`\b(?:status=sent|stat=Sent)\b`)
)

// ReadMaillog calls visit for each delivery in a log of Postfix or Sendmail. Times without a year are of the last year
// that has such a day before now.
func ReadMaillog(from io.Reader, now time.Time, visit func(Delivery) error) error {
	senders, older := map[string]string{}, map[string]string{}
	lines := bufio.NewReaderSize(from, maxLogLine)
	for {
		line, cut, err := lines.ReadLine()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		text := string(line)
		for cut && err == nil {
			_, cut, err = lines.ReadLine()
		}
		m := logLine.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		id, address := m[1], strings.ToLower(m[3])
		if m[2] == "from" {
			if len(senders) >= maxOpen/2 {
				senders, older = map[string]string{}, senders
			}
			senders[id] = address
			continue
		}
		sender := senders[id]
		if sender == "" {
			sender = older[id]
		}
		at, ok := logTime(text, now)
		if sender == "" || !ok || !logSent.MatchString(m[4]) || !strings.Contains(address, "@") {
			continue
		}
		if err := visit(Delivery{sender, address, at}); err != nil {
			return err
		}
	}
}

// logTime reads the time that a line begins with: of RFC 3339, or as syslog writes it, without a year.
func logTime(line string, now time.Time) (time.Time, bool) {
	word, _, _ := strings.Cut(line, " ")
	if t, err := time.Parse(time.RFC3339Nano, word); err == nil {
		return t, true
	}
	if len(line) < len(time.Stamp) {
		return time.Time{}, false
	}
	t, err := time.ParseInLocation("2006 "+time.Stamp, "2000 "+line[:len(time.Stamp)], now.Location()) // a leap year
	if err != nil {
		return time.Time{}, false
	}
	year := now.Year()
	for _, y := range []int{year, year - 1, year - 2, year - 3, year - 4} {
		on := time.Date(y, t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, now.Location())
		if on.Day() == t.Day() && !on.After(now.Add(24*time.Hour)) {
			return on, true
		}
	}
	return time.Time{}, false
}
