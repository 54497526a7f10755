package retraction

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mark"
	"github.com/recall-milter/recall-milter/internal/post"
	"github.com/recall-milter/recall-milter/internal/protocol"
	"github.com/recall-milter/recall-milter/internal/protocol/cancel"
)

// RequestRetraction asks the gateways of the recipients who got a released message to take it back; only says of which,
// nil: of all. It returns the hold as it is then, and by when its sender hears what came of it: the zero time when
// nobody is asked now, because the configuration says so, because all were asked before, or because the request would
// speak for somebody else.
func (x *Retractor) RequestRetraction(ctx context.Context, id string, only []string,
	a holdstore.Actor) (*holdstore.Hold, time.Time,
	error) {
	h, err := x.store.Get(ctx, id)
	if err != nil || h.State != holdstore.Released {
		return h, time.Time{}, err
	}
	if err := h.Proven(); err != nil {
		return h, time.Time{}, fmt.Errorf("hold %s: nobody is asked: %w", h.ID, err)
	}
	all := x.requests(h, only, a.Reason)
	if len(all) == 0 {
		return h, time.Time{}, nil
	}
	why, shared, err := x.speaksForOthers(ctx, h)
	if err != nil || why != "" {
		if why != "" {
			err = x.store.Audit(ctx, "recall refused", h.ID, a, "nobody is asked: "+why)
		}
		return h, time.Time{}, err
	}
	for n := range all {
		all[n].Keyless = shared
	}
	after, err := x.store.RequestRecall(ctx, h.ID, all, x.o.Within, a)
	if errors.Is(err, holdstore.ErrNotNow) { // somebody was faster
		return h, time.Time{}, nil
	}
	return after, time.Now().Add(x.o.Within), err
}

// requests plans one request for each domain of the recipients who got the message, and were not asked before.
func (x *Retractor) requests(h *holdstore.Hold, only []string, reason string) []holdstore.Request {
	all := x.unnamed(h, only, reason)
	for i := range all {
		id, ok := RequestID(x.marker, all[i])
		if !ok {
			return nil
		}
		all[i].RequestID = id
	}
	return all
}

// unnamed plans the requests without their IDs.
func (x *Retractor) unnamed(h *holdstore.Hold, only []string, reason string) (all []holdstore.Request) {
	if !x.o.Ask || h.Own() || h.Sender.Address == "" || h.MessageID == "" {
		return nil
	}
	byDomain, wanted := map[string]int{}, holdstore.NewAddresses(only)
	for n, r := range h.Recipients {
		meant := only == nil || wanted.Has(r.Address)
		domain := holdstore.DomainOf(r.Address)
		if !meant || h.Results[n].Outcome != holdstore.Sent || domain == "" || !x.o.Domains.Match(domain) {
			continue
		}
		i, known := byDomain[domain]
		if !known {
			i = len(all)
			byDomain[domain] = i
			all = append(all, holdstore.Request{Hold: h.ID, Domain: domain, Reason: reason, Asker: h.Asker()})
		}
		all[i].Recipients = append(all[i].Recipients, n)
	}
	return all
}

// RequestID is made of the secret and of what is asked, so that asking again asks the same, and asking for further
// recipients of the same domain asks something else. false: there is no secret yet.
func RequestID(m *mark.Marker, a holdstore.Request) (string, bool) {
	return m.Token("request", a.Hold, a.Domain, fmt.Sprint(a.Recipients))
}

// ask writes one request, or for recipients of our own takes the message back here.
func (x *Retractor) ask(ctx context.Context, asked holdstore.Request) error {
	h, err := x.store.Get(ctx, asked.Hold)
	if errors.Is(err, holdstore.ErrNotFound) { // its record is older than it is kept
		return nil
	}
	if err != nil {
		return err
	}
	if err := h.Proven(); err != nil {
		x.log.Trouble("hold "+h.ID+": nobody is asked to take it back", err)
		return nil
	}
	q := protocol.Request{ID: asked.RequestID, MessageID: h.MessageID, Sender: post.Author(h), Date: h.Date,
		Reason: asked.Reason}
	for _, n := range asked.Recipients {
		if n < len(h.Recipients) {
			q.Recipients = append(q.Recipients, h.Recipients[n].Address)
		}
	}
	x.log.Asked(h, asked.Domain, asked.RequestID)
	if x.reachesAll(q.Recipients) && holdstore.DomainOf(post.Author(h)) == asked.Domain { // colleagues
		return x.order(ctx, Order{RequestID: asked.RequestID, MessageID: h.MessageID,
			From: post.Author(h), Recipients: q.Recipients, Received: h.HeldAt, Date: h.Date, Gateway: h.Gateway, Hold: h.ID})
	}
	if key, ok := x.marker.CancelKey(h.ID, asked.Domain, h.MessageID); ok && !asked.Keyless && x.locked(h, asked.Domain) {
		q.Keys = []cancel.Element{key}
	}
	return x.post.Request(ctx, h, q)
}
