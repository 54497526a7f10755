package inbound

import (
	"context"
	"net/mail"
	"strings"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/fingerprint"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/outage"
	"github.com/recall-milter/recall-milter/policy"
)

const (
	// While Redis is slow, so many messages wait to be remembered, and so many bytes of them. What is more is forgotten:
	// mail never waits.
	maxWaiting   = 10_000
	waitingBytes = 16 << 20

	batch      = 100 // of one round trip
	gatherTime = 100 * time.Millisecond
	writeTime  = 5 * time.Second
)

// Remember notes a message that came in. Never waits.
func (g *Gate) Remember(m *Mail) {
	a := g.read(m)
	if g.Came != nil && a.defect == "" {
		g.Came(a.from, a.to)
	}
	reached := g.reached(m)
	if g.o.Load().Remember <= 0 || a.defect != "" && len(reached) == 0 || m.MessageID == "" ||
		len(m.MessageID) > holdstore.MaxNamed {
		return
	}
	r := holdstore.Remembered{MessageID: m.MessageID, From: a.from,
		Recipients: a.to[:min(len(a.to), holdstore.MaxRemembered)],
		Ways:       []holdstore.Way{g.way(a)},
		Subjects:   policy.ReadSubject(mailmsg.Subject(m.Field("Subject"))).Forms(), Lock: m.Field("Cancel-Lock"),
		At: time.Now()}
	r.MessageID = strings.Clone(r.MessageID) // the rest of its field may be large
	if len(reached) > 0 {
		r.Delivered = delivered(a, reached)
	}
	if sent, err := mail.ParseDate(m.Field("Date")); err == nil {
		r.Sent = sent.UTC()
	}
	size := weight(&r)
	if g.waiting.Add(size) > waitingBytes {
		g.waiting.Add(-size)
		return
	}
	select {
	case g.arrived <- r:
	default:
		g.waiting.Add(-size)
	}
}

// reached lists the recipients whose mailboxes this gateway can open.
func (g *Gate) reached(m *Mail) (all []string) {
	if g.retractor == nil {
		return nil
	}
	for _, p := range m.Recipients[:min(len(m.Recipients), holdstore.MaxRemembered)] {
		if g.retractor.Reaches(p.Address) {
			all = append(all, p.Address)
		}
	}
	return all
}

// maxAuthor bounds what is kept of a From without an address, in bytes.
const maxAuthor = 320

// delivered is what a claw back needs to know of a message. A From that is not one plain address is kept
// as it is written.
func delivered(a *arrival, reached []string) *holdstore.Delivered {
	author := a.from
	if author == "" {
		author = mailmsg.Shorten(mailmsg.Text(a.Field("From")), maxAuthor)
	}
	d := &holdstore.Delivered{MessageID: strings.Clone(a.MessageID), Author: author, Sender: a.Sender.Address,
		Subject: a.Subject, Header: fingerprint.OfHeader(a.Values), Recipients: reached, At: time.Now()}
	if a.Print.Begun() {
		d.Body = a.Print.Sum()
	}
	return d
}

// weight is about how many bytes of memory a message takes that waits to be remembered.
func weight(r *holdstore.Remembered) int64 {
	const fixed, text = 1 << 10, 64 // besides the texts, and besides the bytes of one of them
	n := fixed + len(r.MessageID) + len(r.From) + len(r.Lock)
	reached := []string{}
	if r.Delivered != nil {
		reached = r.Delivered.Recipients
		n += len(r.Delivered.Subject) + len(r.Delivered.Author)
	}
	for _, all := range [][]string{r.Recipients, r.Subjects, reached} {
		for _, s := range all {
			n += text + len(s)
		}
	}
	return int64(n)
}

// take takes one message out of what waits.
func (g *Gate) take(r holdstore.Remembered) holdstore.Remembered {
	g.waiting.Add(-weight(&r))
	return r
}

// Run writes what is to be remembered, until ctx ends; then what waits is written, unless Redis is away.
func (g *Gate) Run(ctx context.Context) {
	var away outage.Outage
	for {
		some := g.gather(ctx)
		if len(some) == 0 {
			return
		}
		asked := time.Now()
		write, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTime)
		err := g.memory.Remember(write, some, g.o.Load().Remember)
		cancel()
		away.Note(g.log, asked, err, "mail that comes in is not remembered, recalls of it will find nothing",
			"mail that comes in is remembered again")
		if err != nil && ctx.Err() != nil {
			return
		}
	}
}

// gather waits for a message, and a moment for others: each write costs the disk a sync, next to those for the MTA's
// queue. Once ctx has ended it only takes what waits.
func (g *Gate) gather(ctx context.Context) (some []holdstore.Remembered) {
	select {
	case r := <-g.arrived:
		some = append(some, g.take(r))
	case <-ctx.Done():
	}
	for moment := time.After(gatherTime); len(some) < batch && ctx.Err() == nil; {
		select {
		case r := <-g.arrived:
			some = append(some, g.take(r))
		case <-moment:
			return some
		case <-ctx.Done():
		}
	}
	for len(some) < batch && len(g.arrived) > 0 { // at the end
		some = append(some, g.take(<-g.arrived))
	}
	return some
}
