package holdstore

import (
	"context"
	"net/netip"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// The messages of one sender with one subject share one set, since Outlook's recalls name nothing else. Anybody can
// put messages there by typing sender and subject. So each network gets the same share of a full set, and what is
// known to be the sender's own stays as long as there is anything else.
const (
	maxSameSubject   = 256 // messages
	sameSubjectSlack = 64  // more are there before it is thinned: each thinning reads the whole set
	nameLen          = 24  // characters of two digests
	ownOrigin        = "+"
)

// origin is where a message came from: the sender's own, or a network; "" where nobody knows.
func origin(ways []Way) string {
	if len(ways) > 0 && ways[0].Aligned {
		return ownOrigin
	}
	if network := networkOf(ways); network != "" {
		return digest(network)[:4]
	}
	return ""
}

// networkOf is the network that a message came from; "" where nobody knows.
func networkOf(ways []Way) string {
	if len(ways) == 0 {
		return ""
	}
	a, err := netip.ParseAddr(ways[0].Client)
	if err != nil {
		return ""
	}
	a = a.Unmap().WithZone("")
	bits := 48 // what one customer easily gets
	if a.Is4() {
		bits = 24
	}
	network, _ := a.Prefix(bits)
	return network.String()
}

// inSubject lists the names of the messages in a set, the newest first, each once: a name comes from two networks when
// its transactions do.
func (s *Store) inSubject(ctx context.Context, subject string) (names []string, err error) {
	members, err := s.nodes.Client.ZRevRange(ctx, subject, 0, -1).Result()
	seen := map[string]bool{}
	for _, m := range members {
		if name := m[max(0, len(m)-nameLen):]; !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names, err
}

// thin takes out of sets what is too much. Two gateways that thin the same set take out the same.
func (s *Store) thin(ctx context.Context, subjects []string) error {
	for _, subject := range subjects {
		members, err := s.nodes.Client.ZRange(ctx, subject, 0, -1).Result()
		if err != nil {
			return nodes.Explain(err)
		}
		if drop := surplus(members, maxSameSubject); len(drop) > 0 {
			if err := s.nodes.Client.ZRem(ctx, subject, drop).Err(); err != nil {
				return nodes.Explain(err)
			}
		}
	}
	return nil
}

// surplus chooses which members, the oldest first, have to go: always the oldest of the origin that has most, of two
// the one that came later; the sender's own last of all.
func surplus(members []string, most int) (drop []string) {
	var origins []string // in the order in which they came
	of := map[string][]string{}
	for _, m := range members {
		o := m[:max(0, len(m)-nameLen)]
		if of[o] == nil {
			origins = append(origins, o)
		}
		of[o] = append(of[o], m)
	}
	for range len(members) - most {
		worst := largest(origins, of)
		drop = append(drop, of[worst][0])
		of[worst] = of[worst][1:]
	}
	return drop
}

func largest(origins []string, of map[string][]string) (worst string) {
	most := 0
	for _, o := range origins {
		if n := len(of[o]); o != ownOrigin && n >= max(most, 1) {
			worst, most = o, n
		}
	}
	if most == 0 {
		return ownOrigin
	}
	return worst
}
