package holdstore

import (
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// A batch may reach Redis twice, when nobody knows whether it did: the content of a hold must not get an end by that.
func TestABatchThatComesTwiceEndsNoContent(t *testing.T) {
	t.Parallel()
	s := open(t, server.StartRedis(t).Addr)
	p, c := begun(t, s, "twice")
	sendNow(t, s, c)
	sendNow(t, s, c)
	key := pieceKey(p.at, p.id, p.nonce, 0)
	if ttl := s.nodes.Client.TTL(t.Context(), key).Val(); ttl != time.Duration(-1) {
		t.Errorf("the content of a hold ends in %v (-1: never, -2: it is gone)", ttl)
	}
	sound(t, s, 1)
}
