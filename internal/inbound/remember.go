package inbound

import (
	"context"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/recall"
)

const (
	maxWaiting = 10_000 // messages to remember while Redis is slow; what is more is forgotten, mail never waits
	batch      = 100    // of one round trip
	writeTime  = 5 * time.Second
)

// Remember notes a message that came in. Never waits.
func (g *Gate) Remember(m *recall.Mail) {
	from, defect := author(m)
	if g.o.Load().Remember <= 0 || defect != "" || m.MessageID == "" {
		return
	}
	r := holdstore.Received{MessageID: m.MessageID, From: from, Recipients: addresses(m),
		Subject: g.known.Bare(first(m, "Subject")), Lock: first(m, "Cancel-Lock"), At: time.Now()}
	select {
	case g.arrived <- r:
	default:
	}
}

// Run writes what is to be remembered, until ctx ends.
func (g *Gate) Run(ctx context.Context) {
	failing := false
	for {
		var some []holdstore.Received
		select {
		case <-ctx.Done():
			return
		case r := <-g.arrived:
			some = append(some, r)
		}
		for len(some) < batch && len(g.arrived) > 0 {
			some = append(some, <-g.arrived)
		}
		write, cancel := context.WithTimeout(ctx, writeTime)
		err := g.memory.Remember(write, some, g.o.Load().Remember)
		cancel()
		if err != nil && !failing && ctx.Err() == nil {
			g.log.Trouble("mail that comes in is not remembered, recalls of it will find nothing", err)
		}
		failing = err != nil
	}
}
