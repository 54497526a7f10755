package release

import (
	"context"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/post"
)

// bounce tells the sender of every failure not told yet (RFC 3464), unless NOTIFY or a null sender forbids it, and
// marks those results as reported. An error means that the port could not take the bounce now.
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
	notify := strings.ToUpper(r.Arg("NOTIFY"))
	return notify == "" || strings.Contains(notify, "FAILURE")
}

func (s *sender) sendBounce(ctx context.Context, c *holdstore.Claim, tell []int,
	results map[int]holdstore.Result) (string, error) {
	header, err := s.loop.store.Header(ctx, &c.Hold)
	if err != nil {
		return "", err
	}
	n := post.NewBounce(&c.Hold, tell, results, s.loop.marker)
	returned := n.HeaderOnly(header)
	if strings.EqualFold(c.Sender.Arg("RET"), "FULL") && c.Size <= post.MaxReturned {
		if returned, err = n.Whole(s.loop.store.Content(ctx, &c.Hold), header); err != nil {
			return "", err
		}
	}
	text := n.Text(returned)
	e := envelope{gateway: c.Gateway, to: []holdstore.Path{{Address: c.Sender.Address}}, content: strings.NewReader(text),
		ready: leased(c), own: true}
	if !ascii(text) {
		e.implied = []string{eightBit}
	}
	if n.International {
		e.from.Args = []string{international}
	}
	got, err := s.send(ctx, e)
	if err == nil {
		err = got.refused[0]
	}
	return got.reply, err
}
