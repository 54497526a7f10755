package nodes

import (
	"sync"

	"github.com/redis/go-redis/v9"
)

// Script is a Lua script that is put together when it is first run: a program that starts for one command must not pay
// for the texts and digests of all scripts.
type Script struct{ made func() *redis.Script }

// NewScript makes a script of the text that is returned once.
func NewScript(text func() string) *Script {
	return &Script{sync.OnceValue(func() *redis.Script { return redis.NewScript(text()) })}
}

// Hash is the SHA-1 by which Redis knows the script.
func (s *Script) Hash() string { return s.made().Hash() }
