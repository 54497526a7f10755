package holdstore

import (
	"embed"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// Scripts longer than some twenty lines are files. Each says on top what it does and its KEYS, ARGV and results.
//
//go:embed *.lua
var luaFiles embed.FS

// lua is the text of such a file.
func lua(name string) string {
	text, err := luaFiles.ReadFile(name + ".lua")
	if err != nil {
		panic(err) // it is part of the program
	}
	return string(text)
}

// script makes a script that must not add to a full store.
func script(body string) *redis.Script {
	return redis.NewScript("#!lua\n" + nodes.Check + moves + body)
}

// drain makes a script that also runs when the store is full, because it (or what follows it) empties it.
func drain(body string) *redis.Script {
	return redis.NewScript("#!lua flags=allow-oom\n" + nodes.Check + moves + body)
}
