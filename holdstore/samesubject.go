package holdstore

import (
	"context"
	"net/netip"
	"strings"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// The messages of one sender with one subject are in one set, since Outlook's recalls name nothing else; others share
// it. Anybody can put messages there by typing sender and subject. So each network gets the same share of a full set,
// and what is known to be the sender's own stays as long as there is anything else.
const (
	maxSameSubject   = 256 // messages
	sameSubjectSlack = 64  // more are there before it is thinned: each thinning reads the whole set
	ownOrigin        = "+"
)

// subjectDigest is where messages of a sender with a bare subject are.
func subjectDigest(from, subject string) string {
	return string(rawDigest(digest(from + "\n" + subject)))
}

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

// inSubject lists the names of the messages from an address with a bare subject, the newest first, each once: a name
// comes from two networks when its transactions do.
func (s *Store) inSubject(ctx context.Context, at nodes.Shard, from, subject string) (names []string, err error) {
	about := subjectDigest(from, subject)
	members, err := s.nodes.Client.ZRevRange(ctx, subjectKey(at, s.receivedPart(about)), 0, -1).Result()
	sender, seen := string(rawDigest(digest(from))), map[string]bool{}
	for _, m := range members {
		if !strings.HasPrefix(m, about) || len(m) < 2*digestLen {
			continue
		}
		if name := m[len(m)-digestLen:] + sender; !seen[name] {
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

// originIn is where a member of a set came from. A sender's own with one subject count by themselves.
func originIn(member string) string {
	o := member[min(digestLen, len(member)):max(digestLen, len(member)-digestLen)]
	if o == ownOrigin {
		return member[:digestLen] + o
	}
	return o
}

func isOwn(origin string) bool { return len(origin) > digestLen }

// surplus chooses which members, the oldest first, have to go: always the oldest of the origin that has most, of two
// the one that came later; a sender's own last of all.
func surplus(members []string, most int) (drop []string) {
	var origins []string // in the order in which they came
	of := map[string][]string{}
	for _, m := range members {
		o := originIn(m)
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
	for _, own := range []bool{false, true} {
		most := 0
		for _, o := range origins {
			if n := len(of[o]); isOwn(o) == own && n >= max(most, 1) {
				worst, most = o, n
			}
		}
		if most > 0 {
			break
		}
	}
	return worst
}
