package nodes

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// The memory of a server, maxmemory, is shared so that held mail always finds room: what is only remembered of inbound
// mail gets a part of it, and gives way before the server is full; no sender gets more than a part. Of a server without
// maxmemory the parts are those of MaxUnsaid.
const (
	memoryAge  = time.Second // how long a look at a server's memory is believed
	MaxUnsaid  = 1 << 30     // bytes; what the packages give the store
	tightParts = 4           // when less than one of so many parts is free, remembering gives way
)

// memory is what the servers say of their memory.
type memory struct {
	mu sync.Mutex
	of map[redis.UniversalClient]MemoryUse
}

// MemoryUse is the memory of one server, in bytes.
type MemoryUse struct {
	used, most int64 // most 0: no bound is configured
	at         time.Time
}

// Share is one of so many equal parts of the memory.
func (u MemoryUse) Share(parts int64) int64 {
	if u.most == 0 {
		return MaxUnsaid / parts
	}
	return u.most / parts
}

// Spare is how many bytes are free before memory is tight; below 0 it is tight.
func (u MemoryUse) Spare() int64 {
	if u.most == 0 {
		return MaxUnsaid
	}
	return u.most - u.most/tightParts - u.used
}

// Free is how much is free.
func (u MemoryUse) Free() int64 {
	if u.most == 0 {
		return MaxUnsaid
	}
	return max(u.most-u.used, 0)
}

// note keeps what INFO says of a server.
func (m *memory) note(node redis.UniversalClient, info map[string]string) MemoryUse {
	used, _ := strconv.ParseInt(info["used_memory"], 10, 64)
	most, _ := strconv.ParseInt(info["maxmemory"], 10, 64)
	u := MemoryUse{used: used, most: most, at: time.Now()}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of == nil {
		m.of = map[redis.UniversalClient]MemoryUse{}
	}
	m.of[node] = u
	return u
}

func (m *memory) known(node redis.UniversalClient) MemoryUse {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.of[node]
}

// MemoryOf looks at a server's memory, unless it did a moment ago. While memory is tight it looks each time.
func (ns *Nodes) MemoryOf(ctx context.Context, node redis.UniversalClient) (MemoryUse, error) {
	if u := ns.memory.known(node); time.Since(u.at) < memoryAge && u.Spare() >= 0 {
		return u, nil
	}
	return ns.LookAtMemory(ctx, node)
}

// LookAtMemory asks the server in any case.
func (ns *Nodes) LookAtMemory(ctx context.Context, node redis.UniversalClient) (MemoryUse, error) {
	text, err := node.Info(ctx, "memory").Result()
	if err != nil {
		return MemoryUse{}, Explain(err)
	}
	return ns.memory.note(node, infoFields(text)), nil
}

// ShardsPerServer is about how many shards each server has.
func (ns *Nodes) ShardsPerServer() int64 {
	c, ok := ns.Client.(*redis.ClusterClient)
	if !ok {
		return 1
	}
	servers := map[redis.UniversalClient]bool{}
	for _, at := range ns.Shards {
		if node, err := c.MasterForKey(context.Background(), string(at)); err == nil {
			servers[node] = true
		}
	}
	return int64(len(ns.Shards) / max(len(servers), 1))
}

// KnownMemory is what the last look at a server's memory found.
func (ns *Nodes) KnownMemory(node redis.UniversalClient) MemoryUse { return ns.memory.known(node) }
