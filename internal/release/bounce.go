package release

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

// maxReturned bounds how much of the header of a failed message goes back with its bounce.
const maxReturned = 100 << 10

// bounce tells the sender of every failure not told yet (RFC 3464), unless NOTIFY or a null sender forbids it, and marks
// those results as reported. An error means that the port could not take the bounce now.
func (s *sender) bounce(ctx context.Context, c *holdstore.Claim, results map[int]holdstore.Result) error {
	var tell, failed []int
	for i := range c.Results {
		r, now := results[i]
		if !now {
			r = c.Results[i]
		}
		if r.Outcome == holdstore.Failed && !r.Reported {
			results[i] = r
			failed = append(failed, i)
			if c.Sender.Address != "" && wanted(c.Recipients[i]) {
				tell = append(tell, i)
			}
		}
	}
	if len(tell) > 0 {
		detail, err := s.sendBounce(ctx, c, tell, results)
		if err != nil && !permanent(err) {
			return err
		}
		if err != nil {
			detail = "the sender can't be told: " + err.Error()
		}
		s.loop.log.Bounced(&c.Hold, c.Sender.Address, detail)
	}
	for _, i := range failed {
		r := results[i]
		r.Reported = true
		results[i] = r
	}
	return nil
}

// wanted says whether NOTIFY allows a report of failure (RFC 3461 section 4.1).
func wanted(r holdstore.Path) bool {
	for _, arg := range r.Args {
		if value, ok := strings.CutPrefix(strings.ToUpper(arg), "NOTIFY="); ok {
			return strings.Contains(value, "FAILURE")
		}
	}
	return true
}

func (s *sender) sendBounce(ctx context.Context, c *holdstore.Claim, tell []int, results map[int]holdstore.Result) (string, error) {
	header, err := s.loop.store.Header(ctx, &c.Hold)
	if err != nil {
		return "", err
	}
	text := s.bounceText(c, tell, results, header)
	reply, refused, err := s.send(ctx, holdstore.Path{}, []holdstore.Path{{Address: c.Sender.Address}}, strings.NewReader(text))
	return reply, cmpErr(refused[0], err)
}

func (s *sender) bounceText(c *holdstore.Claim, tell []int, results map[int]holdstore.Result, header []byte) string {
	// The boundary can't stand in the header that goes back: nobody else can make the mark.
	messageID := fmt.Sprintf("<%s.%d@%s>", c.ID, c.Attempts, word(c.Gateway))
	boundary := s.loop.marker.Stamp(c.ID, "", messageID)
	now := time.Now().UTC().Format(time.RFC1123Z)
	var people, machines strings.Builder
	for _, i := range tell {
		to := word(c.Recipients[i].Address)
		reason := oneLine(results[i].Detail)
		fmt.Fprintf(&people, "  %s: %s\r\n", to, reason)
		fmt.Fprintf(&machines, "\r\nFinal-Recipient: rfc822; %s\r\nAction: failed\r\nStatus: 5.0.0\r\nDiagnostic-Code: smtp; %s\r\n", to, reason)
	}
	if len(header) > maxReturned {
		header = header[:strings.LastIndex(string(header[:maxReturned]), "\r\n")+2]
	}
	return fmt.Sprintf("Received: by %[1]s (Recall Milter) id %[2]s; %[3]s\r\n"+
		"From: Mail Delivery System <MAILER-DAEMON@%[1]s>\r\nTo: <%[4]s>\r\nSubject: Undelivered mail returned to sender\r\n"+
		"Date: %[3]s\r\nMessage-ID: %[5]s\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: multipart/report; report-type=delivery-status; boundary=\"%[2]s\"\r\n\r\n"+
		"--%[2]s\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"+
		"Your message could not be delivered to:\r\n\r\n%[6]s\r\n"+
		"--%[2]s\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; %[1]s\r\n%[7]s\r\n"+
		"--%[2]s\r\nContent-Type: text/rfc822-headers\r\n\r\n%[8]s\r\n--%[2]s--\r\n",
		word(c.Gateway), boundary, now, word(c.Sender.Address), messageID, people.String(), machines.String(), header)
}

// oneLine keeps a server's reply on its line.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
