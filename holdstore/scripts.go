package holdstore

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore/internal/holdid"
	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// Scripts longer than some twenty lines are files. Each says on top what it does and its KEYS, ARGV and results.
//
//go:embed *.lua
var luaFiles embed.FS

// lua is the text of such a file, behind constants: names and values in turn.
func lua(name string, constants ...any) string {
	text, err := luaFiles.ReadFile(name + ".lua")
	if err != nil {
		panic(err) // it is part of the program
	}
	var lines strings.Builder
	for pair := range slices.Chunk(constants, 2) {
		fmt.Fprintf(&lines, "local %s = %#v\n", pair...)
	}
	return lines.String() + string(text) + "\n"
}

const (
	never      = 253370764800000 // 9999-01-01 in milliseconds since 1970: the due moment of what is parked
	damageMost = 1000            // lines about damage that wait for a daemon to log them
)

// moves is what all scripts share: lib.lua.
var moves = lua("shelf", "EPOCH", holdid.Time(strings.Repeat("2", holdid.Length)).UnixMilli()) +
	lua("lib", "AGE_STEP", ageStep.Milliseconds(), "TRAIL_MOST", trailMost, "NEVER", never, "DAMAGE_MOST",
		damageMost, "NUMBERED", holdid.Numbered, "SHELF_SHORTEST", shelfShortest, "SHELF_LONGEST", shelfLongest,
		"SHELF_MOST", shelfMost, "SHELF_SPAN", shelfSpan.Milliseconds())

// script makes a script that must not add to a full store.
func script(body string) *nodes.Script {
	return nodes.NewScript(func() string { return "#!lua\n" + nodes.Check + moves + body })
}

// drain makes a script that also runs when the store is full, because it (or what follows it) empties it.
func drain(body string) *nodes.Script {
	return nodes.NewScript(func() string { return "#!lua flags=allow-oom\n" + nodes.Check + moves + body })
}

// word runs a script that answers with one word, in the shard of a hold.
func (s *Store) word(ctx context.Context, sc *nodes.Script, id string, args ...any) error {
	return s.wordAt(ctx, s.nodes.Of(id), sc, id, args...)
}

func (s *Store) wordAt(ctx context.Context, at nodes.Shard, sc *nodes.Script, id string, args ...any) error {
	return worded(s.nodes.Run(ctx, at, sc, append([]any{id}, args...)...), id)
}

// replicatedWord is word for what somebody relies on.
func (s *Store) replicatedWord(ctx context.Context, sc *nodes.Script, id string, args ...any) error {
	return worded(s.nodes.RunDurable(ctx, s.nodes.Of(id), sc, append([]any{id}, args...)...), id)
}

func worded(cmd *redis.Cmd, id string) error {
	w, err := cmd.Text()
	if errors.Is(err, nodes.ErrFewReplicas) {
		return fmt.Errorf("%s: %w, and a failover now would undo it", id, nodes.Explain(err))
	}
	if err != nil {
		return nodes.Explain(err)
	}
	return outcome(w, id)
}

// anys makes arguments of texts.
func anys(texts []string) []any {
	args := make([]any, len(texts))
	for n, text := range texts {
		args[n] = text
	}
	return args
}
