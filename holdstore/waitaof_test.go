package holdstore

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/test/server"
)

// proving lets any Redis answer WAITAOF, as Redis 7.2 and Valkey do: how many disks have the write.
type proving struct {
	passing
	disks  atomic.Int64
	denied atomic.Bool // an ACL forbids to ask
}

// denial is Redis's reply to a command that an ACL forbids.
type denial struct{}

func (denial) Error() string {
	return "NOPERM this user has no permissions to run the 'waitaof' command"
}
func (denial) RedisError() {}

func (p *proving) answers(cmd redis.Cmder) bool {
	c, ok := cmd.(*redis.Cmd)
	if !ok || cmd.Name() != "waitaof" {
		return false
	}
	if p.denied.Load() {
		c.SetErr(denial{})
		return true
	}
	c.SetVal([]any{p.disks.Load(), int64(0)})
	return true
}

func (p *proving) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if p.answers(cmd) {
			return nil
		}
		return next(ctx, cmd)
	}
}

func (p *proving) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return next(ctx, slices.DeleteFunc(slices.Clone(cmds), p.answers))
	}
}

// Where Redis can say whether a write is on its disk, a message counts as held only then.
func TestAWriteThatIsNotOnTheDiskIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	s, disk := open(t, server.StartRedis(t).Addr), &proving{}
	s.nodes.Client.AddHook(disk)
	if _, err := tryPut(s, "lost", time.Hour, ""); !errors.Is(err, ErrNotDurable) ||
		!strings.Contains(err.Error(), "has not written it") {
		t.Errorf("%v", err)
	}
	disk.disks.Store(1)
	r := put(t, s, "kept", time.Hour, "")
	sound(t, s, 1)
	disk.disks.Store(0)
	if _, err := s.Recall(t.Context(), r.ID, alice); !errors.Is(err, ErrNotDurable) {
		t.Errorf("recalled: %v", err)
	}
}

// A server that proves each write need not let its settings be read.
func TestSettingsThatNobodyMayRead(t *testing.T) {
	t.Parallel()
	srv := server.StartRedis(t)
	srv.Do("ACL SETUSER gateway on >secret ~* &* +@all -config")
	if open(t, srv.Addr).nodes.Client.Do(t.Context(), "WAITAOF", 0, 0, 1).Err() == nil {
		t.Skip("this server proves each write by itself")
	}
	limited := Options{Addresses: []string{srv.Addr}, Username: "gateway", Password: "secret"}
	if _, err := tryPut(openWith(t, limited), "m", time.Hour, ""); !errors.Is(err, ErrNotDurable) {
		t.Errorf("neither proven nor readable: %v", err)
	}
	s, disk := openWith(t, limited), &proving{}
	disk.disks.Store(1)
	s.nodes.Client.AddHook(disk)
	put(t, s, "m", time.Hour, "")
}

// An ACL may be tightened while we run. What was written before the question was refused is there.
func TestALoginThatMayNotAskForTheDiskAnyMoreLosesNothing(t *testing.T) {
	t.Parallel()
	s, disk := open(t, server.StartRedis(t).Addr), &proving{}
	disk.disks.Store(1)
	s.nodes.Client.AddHook(disk)
	put(t, s, "before", time.Hour, "")
	disk.denied.Store(true)
	if _, err := tryPut(s, "m", time.Hour, "body"); !errors.Is(err, ErrNotDurable) {
		t.Fatalf("%v", err)
	}
	disk.denied.Store(false)
	if got, err := read(t, s, put(t, s, "m", time.Hour, "body").ID); err != nil || got != header("m")+"\r\nbody" {
		t.Errorf("%q, %v", got, err)
	}
}
