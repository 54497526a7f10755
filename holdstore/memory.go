package holdstore

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// The memory of a server, maxmemory, is shared so that held mail always finds room: what is only remembered of inbound mail
// gets a part of it, and gives way before the server is full; no sender gets more than a part. Of a server without maxmemory
// the parts are those of maxUnsaid.
const (
	memoryAge  = time.Second // how long a look at a server's memory is believed
	maxUnsaid  = 1 << 30     // bytes; what the packages give the store
	tightParts = 4           // when less than one of so many parts is free, remembering gives way
)

// memory is what servers say of theirs.
type memory struct {
	mu     sync.Mutex
	of     map[redis.UniversalClient]memoryUse
	making sync.Mutex   // of room, by one at a time
	made   atomic.Int64 // how often there was some
}

// memoryUse is one server's, in bytes.
type memoryUse struct {
	used, most int64 // most 0: no bound is configured
	at         time.Time
}

// share is one of so many parts of it.
func (u memoryUse) share(parts int64) int64 {
	if u.most == 0 {
		return maxUnsaid / parts
	}
	return u.most / parts
}

// spare is how much is free before it is tight; below 0: it is.
func (u memoryUse) spare() int64 {
	if u.most == 0 {
		return maxUnsaid
	}
	return u.most - u.most/tightParts - u.used
}

// note keeps what INFO says.
func (m *memory) note(node redis.UniversalClient, info map[string]string) memoryUse {
	used, _ := strconv.ParseInt(info["used_memory"], 10, 64)
	most, _ := strconv.ParseInt(info["maxmemory"], 10, 64)
	u := memoryUse{used: used, most: most, at: time.Now()}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of == nil {
		m.of = map[redis.UniversalClient]memoryUse{}
	}
	m.of[node] = u
	return u
}

func (m *memory) known(node redis.UniversalClient) memoryUse {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.of[node]
}

// memoryOf looks at a server's memory, unless it did a moment ago. While memory is tight it looks each time.
func (s *Store) memoryOf(ctx context.Context, node redis.UniversalClient) (memoryUse, error) {
	if u := s.memory.known(node); time.Since(u.at) < memoryAge && u.spare() >= 0 {
		return u, nil
	}
	return s.lookAtMemory(ctx, node)
}

func (s *Store) lookAtMemory(ctx context.Context, node redis.UniversalClient) (memoryUse, error) {
	text, err := node.Info(ctx, "memory").Result()
	if err != nil {
		return memoryUse{}, explain(err)
	}
	return s.memory.note(node, infoFields(text)), nil
}

// perServer is how many shards a server has, about.
func (s *Store) perServer() int64 {
	c, ok := s.redis.(*redis.ClusterClient)
	if !ok {
		return 1
	}
	servers := map[redis.UniversalClient]bool{}
	for _, at := range s.shards {
		if node, err := c.MasterForKey(context.Background(), string(at)); err == nil {
			servers[node] = true
		}
	}
	return int64(len(s.shards) / max(len(servers), 1))
}
