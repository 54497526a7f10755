package holdstore

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
	"github.com/recall-milter/recall-milter/test/server"
)

// In a Cluster one login's mail is in many shards of each server: all of them together are no more than its part of the
// server's memory, and the others' mail is held.
func TestOneSenderDoesNotFillTheServersOfACluster(t *testing.T) {
	t.Parallel()
	const most = 24 << 20
	c := server.StartCluster(t, server.Never, "--maxmemory", fmt.Sprint(most), "--hash-max-listpack-value", "1024")
	s := openWith(t, Options{Addresses: c.Addrs(), Replicas: 0})
	before := usedInCluster(t, s)
	refused := map[nodes.Shard]bool{}
	for n := 0; len(refused) < len(s.nodes.Shards)*3/4; n++ {
		sub := submission(fmt.Sprint(n))
		sub.Login, sub.Sender.Address = "mallory", "mallory@corp.test"
		sub.Recipients = []Path{{Address: fmt.Sprintf("r%d@x.test", n)}} // another shard each time
		p := s.Put(sub, []byte(header("x")))
		if refused[p.at] {
			continue
		}
		err := p.Write(t.Context(), []byte(incompressible(60_000, uint64(n+1))))
		if err == nil {
			_, err = p.Commit(t.Context(), Terms{Rule: "default", Grace: 24 * time.Hour})
		}
		p.Abandon()
		switch {
		case errors.Is(err, ErrQuota):
			refused[p.at] = true
		case err != nil:
			t.Fatal(err)
		}
	}
	for node, used := range usedInCluster(t, s) {
		if grown := used - before[node]; grown > most/ownParts*5/4 {
			t.Errorf("%s has %d of %d bytes of one login", node, grown, most)
		}
	}
	for n := range 60 {
		if _, err := putAs(t, s, fmt.Sprint("user", n), "192.0.2.50", fmt.Sprint("u", n), time.Hour, "hello"); err != nil {
			t.Errorf("user %d: %v", n, err)
		}
	}
}

// usedInCluster is the memory that each master takes for data.
func usedInCluster(t *testing.T, s *Store) map[string]int64 {
	t.Helper()
	all := map[string]int64{}
	for _, at := range s.nodes.Shards {
		node, err := s.nodes.Node(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		info, err := node.(*redis.Client).InfoMap(t.Context(), "memory").Result()
		if err != nil {
			t.Fatal(err)
		}
		var used int64
		fmt.Sscan(info["Memory"]["used_memory_dataset"], &used)
		all[s.nodes.Address(node)] = used
	}
	return all
}
