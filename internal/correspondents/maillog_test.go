package correspondents

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

const log = `Nov 27 23:59:59 gw postfix/qmgr[7]: 4XA1: from=<Anna@corp.test>, size=5, nrcpt=2 (queue active)
Nov 28 00:00:01 gw postfix/smtp[8]: 4XA1: to=<b@far.test>, orig_to=<b>, relay=x[192.0.2.1]:25, status=sent (250 ok)
Nov 28 00:00:01 gw postfix/smtp[8]: 4XA1: to=<c@far.test>, relay=none, delay=1, status=deferred (timed out)
2026-11-28T10:00:00.5+01:00 gw postfix/submission/smtpd[9]: 4XA2: client=x, sasl_username=anna
2026-11-28T10:00:00.5+01:00 gw postfix-out/qmgr[9]: 4XA2: from=<anna@corp.test>, size=5
2026-11-28T10:00:00.5+01:00 gw postfix-out/lmtp[9]: 4XA2: to=<d@far.test>, relay=y, status=sent (250 status=bounced)
Nov 28 10:00:00 gw sendmail[77]: 5AS1: from=<x@far.test>, size=1, class=0
Nov 28 10:00:00 gw sm-mta[78]: 5AS1: to=<anna@corp.test>,<bert@corp.test>, delay=00:00:01, stat=Sent (ok)
Nov 28 10:00:00 gw postfix/smtp[8]: 4XA9: to=<nobody@far.test>, status=sent (250 ok)
Nov 28 10:00:00 gw postfix/qmgr[8]: 4XA8: from=<>, size=1
Nov 28 10:00:00 gw postfix/smtp[8]: 4XA8: to=<e@far.test>, status=sent (250 ok)
Dec 24 10:00:00 gw postfix/qmgr[8]: 4XA7: from=<anna@corp.test>, size=1
Dec 24 10:00:00 gw postfix/smtp[8]: 4XA7: to=<f@far.test>, status=sent (250 ok)
Feb 31 10:00:00 gw postfix/smtp[8]: 4XA7: to=<g@far.test>, status=sent (250 ok)
`

func TestAMaillogTellsWhoWroteToWhom(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	var got []string
	if err := ReadMaillog(strings.NewReader(log), now, func(d Delivery) error {
		got = append(got, fmt.Sprint(d.Sender, " ", d.Recipient, " ", d.At.UTC().Format(time.DateOnly)))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want := "anna@corp.test b@far.test 2026-11-28|anna@corp.test d@far.test 2026-11-28|" +
		"x@far.test anna@corp.test 2026-11-28|anna@corp.test f@far.test 2025-12-24"
	if strings.Join(got, "|") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "|"), want)
	}
}

func TestImportTellsPeopleFromContacts(t *testing.T) {
	t.Parallel()
	key := Key([]byte("secret"))
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	got := map[holdstore.Pair]bool{}
	err := Import(strings.NewReader(log), key, now, func(a string) bool { return strings.HasSuffix(a, "@corp.test") },
		func(pairs []holdstore.Pair) error {
			for _, p := range pairs {
				p.Day = 0
				got[p] = true
			}
			return nil
		})
	anna, x := Name(key, "anna@corp.test"), Name(key, "x@far.test")
	if err != nil || len(got) != 5 || !got[holdstore.Pair{Person: anna, Contact: Name(key, "b@far.test")}] ||
		!got[holdstore.Pair{Person: anna, Contact: x, Came: true}] ||
		!got[holdstore.Pair{Person: Name(key, ""), Contact: Name(key, "@far.test")}] {
		t.Errorf("%d pairs, %v", len(got), err)
	}
}

func FuzzImport(f *testing.F) {
	f.Add(log)
	key := Key([]byte("secret"))
	f.Add(fmt.Sprintf("{\"correspondents\":1,\"secret\":%q}\n"+
		"{\"person\":\"AAAAAAAA\",\"contact\":\"AAAAAAAA\",\"day\":\"2026-01-01\"}\n",
		heading(key).Secret))
	f.Fuzz(func(t *testing.T, text string) {
		err := Import(strings.NewReader(text), key, time.Unix(1_800_000_000, 0), func(a string) bool { return len(a)%2 == 0 },
			func([]holdstore.Pair) error { return nil })
		_ = err
	})
}
