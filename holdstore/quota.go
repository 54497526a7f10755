package holdstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// No sender fills the store. Every hold has an owner: its login, or without one the client that it came from. What an
// owner has waiting is counted in the scripts that make, release, recall and forget holds, in bytes and messages, and a
// hold that would be more is ErrQuota: from over in commit.lua, and for a large message earlier, from staging.add. Its
// client hears 452, or the message goes unheld with on_store_failure = "deliver". A client without a login has twice as
// much room as a login: it may be a whole office. Records of what was sent are counted as well: an owner with more than
// their part of them keeps them for crowdedRecord only.
//
// Each sender of an owner has half of the owner's room, also where there is only one: nobody but the config knows which
// logins are shared, and behind those everybody can type an envelope sender like the login. A sixth of maxmemory is
// more than any person sends within a grace; and a newsletter of 100,000 messages, a gateway's fastest for four
// minutes, fits.
const (
	ownParts      = 3       // an owner's part is one of so many parts of maxmemory
	ownMessages   = 200_000 // that wait
	crowdedRecord = time.Hour

	recordCost = 300 // bytes that a hold takes besides its record and its content, by measurement
	entryCost  = 16  // bytes of each entry in an index: with few holds more, with many less
)

// quota is what the commit script wants to know: bytes and messages of one owner on a server.
func (s *Store) quota(at nodes.Shard) []any {
	share, free := s.ownRoom(at)
	return []any{fmt.Sprintf("%d %d %d", share, free, share/s.nodes.ShardsPerServer()), ownMessages}
}

// ownRoom is what a login may have of a server, and what is free there: nobody may have more than a half of that, so
// that many who take what they can leave room for whoever comes next.
func (s *Store) ownRoom(at nodes.Shard) (share, free int64) {
	node, err := s.nodes.Node(s.ctx, at)
	if err != nil {
		return nodes.MaxUnsaid / ownParts, nodes.MaxUnsaid
	}
	use := s.nodes.KnownMemory(node)
	return use.Share(ownParts), use.Free()
}

// elsewhere says how many messages and bytes an owner, and the sender behind one, have in the other shards of a shard's
// server, with blanks between: in a Cluster the memory of one server is that of many shards. "" where it has no other
// shard, or does not answer.
func (s *Store) elsewhere(ctx context.Context, at nodes.Shard, owner string) string {
	others := s.nodes.OnSameServer(ctx, at)
	if owner == "" || len(others) == 0 {
		return ""
	}
	group, _, _ := strings.Cut(owner, "@")
	pipe := s.nodes.Client.Pipeline()
	var replies []*redis.SliceCmd
	for _, other := range others {
		replies = append(replies, pipe.HMGet(ctx, ownKey(other), group, owner))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return ""
	}
	var sums [2]charges
	for _, r := range replies {
		for n, value := range r.Val() {
			text, _ := value.(string)
			some := parseCharges(text)
			sums[n].n, sums[n].b = sums[n].n+some.n, sums[n].b+some.b
		}
	}
	return fmt.Sprint(sums[0].n, sums[0].b, sums[1].n, sums[1].b)
}

// charges are what field own has of an owner, or of a sender behind one, with blanks between: messages that wait and
// their bytes, and bytes of records.
type charges struct{ n, b, r int64 }

// parseCharges reads such a field, as counts in lib.lua does: what can't be read is nothing.
func parseCharges(text string) charges {
	var has [3]int64
	words := strings.Split(text, " ")
	if len(words) != len(has) {
		return charges{}
	}
	for n, word := range words {
		some, err := strconv.ParseUint(word, 10, 50)
		if err != nil {
			return charges{}
		}
		has[n] = int64(some)
	}
	return charges{has[0], has[1], has[2]}
}

// staging counts what each owner has staged through this client and not yet committed: it takes memory as well.
type staging struct {
	s  *Store
	mu sync.Mutex
	of map[string]int64
}

// add counts some bytes of a message. ErrQuota: its owner has too much, with what waits.
func (g *staging) add(ctx context.Context, p *Put, n int64) error {
	owner := stagingOwner(&p.sub)
	if owner == "" {
		return nil
	}
	room, free := g.s.ownRoom(p.at)
	if owner[0] == 'c' {
		room *= 2
	}
	g.mu.Lock()
	g.of[owner] += n
	now := g.of[owner]
	g.mu.Unlock()
	if now <= min(room, free/2)/ownLooks {
		return nil // the commit looks at the rest
	}
	pipe := g.s.nodes.Client.Pipeline()
	has, givesWay := pipe.HGet(ctx, ownKey(p.at), owner), pipe.HGet(ctx, rememberedKey(p.at), "bytes")
	pipe.Exec(ctx) // what is not there, or can't be asked now, is nothing: the commit looks again
	_, bytes, _ := strings.Cut(g.s.elsewhere(ctx, p.at, owner), " ")
	bytes, _, _ = strings.Cut(bytes, " ")
	others, _ := strconv.ParseInt(bytes, 10, 64)
	if parseCharges(has.Val()).b+others+now > min(room, (free+number(givesWay))/2) {
		return ErrQuota
	}
	return nil
}

func number(reply *redis.StringCmd) int64 {
	n, _ := strconv.ParseInt(reply.Val(), 10, 64)
	return n
}

// stagingOwner names who is charged for what is staged; "": nobody. Mails of the gateway and those of programs on it
// are told apart only by the commit.
func stagingOwner(sub *Submission) string {
	if sub.Login == "" && sub.Client.Address == "" {
		return ""
	}
	owner, _, _ := strings.Cut(ownerOf(sub, Terms{}), "@")
	return owner
}

// ownLooks: an owner who has staged less than one of so many parts of their room is not looked up in the store.
const ownLooks = 4

// end ends the staging of a message.
func (g *staging) end(p *Put) {
	owner := stagingOwner(&p.sub)
	p.mu.Lock()
	n := p.charged
	p.charged = 0
	p.mu.Unlock()
	if owner == "" || n == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.of[owner] -= n; g.of[owner] <= 0 {
		delete(g.of, owner)
	}
}
