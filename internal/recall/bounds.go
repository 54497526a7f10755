package recall

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/recall/command"
)

// officeRate is how many times the rate of one sender a client without a login may use, or a login that many share: a
// whole office may be behind it.
const officeRate = 10

// limited refuses commands beyond the rate, which counts in the store for all gateways: of a person's login; else of
// each sender behind a login or a client, and of all of them, since their addresses can be made up.
func (d *Desk) limited(ctx context.Context, m *Mail) (refusal string, err error) {
	if d.o.Rate <= 0 {
		return "", nil
	}
	beyond, err := d.beyond(ctx, m)
	if err != nil || !beyond {
		return "", err
	}
	d.log.Commanded(m.Submission, "any", "refused", "rate")
	return fmt.Sprintf("550 5.7.1 too many recalls: %d in %v are allowed; ask your administrator, or try again later",
		d.o.Rate, d.o.Per), nil
}

func (d *Desk) beyond(ctx context.Context, m *Mail) (bool, error) {
	if office, shared := d.office(m); shared {
		if beyond, err := d.above(ctx, office, officeRate*d.o.Rate); err != nil || beyond {
			return true, err
		}
	}
	return d.above(ctx, d.author(m), d.o.Rate)
}

// office names what many senders may be behind: a client, or a login that is no single person's.
func (d *Desk) office(m *Mail) (name string, shared bool) {
	if m.Login == "" {
		return "client " + ClientNetwork(m.Client.Address), true
	}
	return "login " + m.Login, !d.personal(m.Login)
}

// author names one sender, as sameSubmitter tells them apart.
func (d *Desk) author(m *Mail) string {
	office, shared := d.office(m)
	switch {
	case !shared:
		return office
	case m.Login == "":
		office = "client " + m.Client.Address
	}
	return office + " sender " + m.Sender.Address
}

// above counts one command more.
func (d *Desk) above(ctx context.Context, name string, most int) (bool, error) {
	n, err := d.store.Count(ctx, d.o.Per, holdstore.Tally{Name: name, By: 1})
	return err == nil && n[0] > most, err
}

// ClientNetwork is a client's address, or for IPv6 the network that one machine easily has.
func ClientNetwork(client string) string {
	a, err := netip.ParseAddr(client)
	if err != nil || a.Unmap().Is4() {
		return client
	}
	network, _ := a.WithZone("").Prefix(64)
	return network.String()
}

// A command reads the whole records of what it means, and its answer names each recipient. A record of 50,000
// recipients has megabytes, and takes many times as much memory, so few such commands are done at a time; others never
// wait for them.
const (
	roomBytes  = 4 << 20  // of the records that all commands have read
	smallBytes = 64 << 10 // a command for less takes no room

	originalsMost = 200_000 // recipients of the messages that a recall without a Message-ID chooses from
)

// enter waits until there is room for the records that a command reads: those that refs name, or so many of the
// submitter's newest. leave must be called when the command is answered.
func (d *Desk) enter(ctx context.Context, m *Mail, refs []string, newest int) (leave func(), err error) {
	if len(refs) > 0 {
		newest = 0
	}
	refs = slices.Clone(refs[:min(len(refs), command.MaxRefs)])
	for n, ref := range refs {
		if about, ours := aboutHold(ref); ours {
			refs[n] = about
		}
	}
	bytes, err := d.store.RecordBytes(ctx, refs, d.submitter(m), newest)
	if err != nil || bytes < smallBytes {
		return func() {}, err
	}
	bytes = min(bytes, roomBytes)
	if err := d.room.Acquire(ctx, bytes); err != nil {
		return nil, err
	}
	return func() { d.room.Release(bytes) }, nil
}

// submitter says whose messages the submitter's own are.
func (d *Desk) submitter(m *Mail) holdstore.Whose {
	if d.personal(m.Login) {
		return holdstore.Whose{Login: m.Login}
	}
	return holdstore.Whose{Login: m.Login, Sender: m.Sender.Address, Client: m.Client.Address}
}
