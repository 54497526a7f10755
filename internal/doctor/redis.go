package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

// Bounds beyond which Redis is a finding.
const (
	clockWarning = 2 * time.Second
	clockError   = time.Minute
	slow         = 50 * time.Millisecond // of a command that writes nothing
	nearlyFull   = 75                    // per cent of the memory
	full         = 90
)

// redis looks at the servers that keep the holds.
func redis(ctx context.Context, s *Site, r report) {
	switch err := s.NoStore; {
	case s.Store == nil && errors.Is(err, fs.ErrPermission):
		r.warn("redis.unchecked", asRoot, "Redis was not asked: %s", words(err))
		return
	case s.Store == nil && errors.Is(err, fs.ErrNotExist) && !exists(s.Config.Redis.PasswordFile):
		return // the checks of files say so
	case s.Store == nil:
		r.bad("redis.config",
			byHand+"only you know where Redis is: correct the table [redis] in "+s.File+", then: systemctl restart "+
				"recall-milter", "%s", words(err))
		return
	case errors.Is(err, holdstore.ErrNotAllowed):
		r.bad("redis.allowed",
			byHand+"only you know the login: compare username and password_file under [redis] in "+s.File+" with ACL LIST in "+
				"Redis", "%s", words(err))
		return
	case err != nil && !errors.Is(err, holdstore.ErrUnavailable):
		text, fix := s.cutFix(words(err))
		r.bad("redis.durable", fix, "%s", text)
	}
	var all []holdstore.Health
	var err error
	if s.NoStore == nil || s.Store.Answers(ctx) == nil { // one that hangs would be waited for long
		all, err = s.Store.Health(ctx)
	}
	if len(all) == 0 && s.NoStore != nil {
		r.bad("redis.reachable", startRedis(s), "%s", words(s.NoStore))
		return
	}
	if err != nil {
		r.warn("redis.unchecked",
			byHand+"only the administrator of Redis can do it: allow TIME, INFO and CONFIG GET to redis.username (ACL SETUSER)",
			"not all could be asked: %s", words(err))
	}
	s.advice(ctx, r)
	stats, _ := s.Store.Stats(ctx)
	for _, h := range all {
		s.judge(h, stats, len(all), r)
	}
}

// advice is what the store itself finds risky, although it holds mail.
func (s *Site) advice(ctx context.Context, r report) {
	all, _ := s.Store.Warnings(ctx)
	for _, text := range all {
		wrong, fix := s.cutFix(text)
		r.warn("redis.advice", fix, "%s", wrong)
	}
}

// judge looks at what one of n servers says.
func (s *Site) judge(h holdstore.Health, stats holdstore.Stats, n int, r report) {
	before := 0
	counted := report(func(f Finding) { before++; r(f) })
	s.state(h, counted)
	s.assumed(h, counted)
	s.secrets(h, counted)
	s.snapshots(h, counted)
	s.disk(h, counted)
	s.replicas(h, counted)
	s.memory(h, stats, n, counted)
	s.clock(h, counted)
	if before == 0 && s.NoStore == nil {
		r.fine("redis", "%s keeps what it acknowledges, %s of memory used, its clock is right",
			h.Product(), h.Info["used_memory_human"])
	}
}

// state looks whether a server that answers can be the store at all.
func (s *Site) state(h holdstore.Health, r report) {
	if h.Info["loading"] == "1" {
		r.bad("redis.loading", byHand+"it ends by itself: INFO persistence says when (loading_eta_seconds)",
			"Redis is loading its data: nothing is held or released until it has it")
	}
	if role, known := h.Info["role"]; known && role != "master" {
		r.bad("redis.role",
			byHand+"only you know the primary: name it in addresses under [redis] in "+s.File+", or the Sentinels and their "+
				"group in sentinel_master, then: systemctl restart recall-milter",
			"redis.addresses leads to a replica, which takes no mail")
	}
	if why := h.Unfit(); why != "" {
		r.bad("redis.version", byHand+"which packages there are depends on the system: "+
			"run Redis 7.0 or newer, or Valkey 8 or newer", "the store is %s: %s: nothing is held", h.Product(), why)
	}
}

// assumed looks at what the operator vouches for, where it can be read.
func (s *Site) assumed(h holdstore.Health, r report) {
	if s.Config.Redis.Durability != "assumed" {
		return
	}
	for _, w := range [][2]string{{"appendonly", "yes"}, {"appendfsync", "always"}, {"no-appendfsync-on-rewrite", "no"},
		{"maxmemory-policy", "noeviction"}} {
		if got, known := h.Config[w[0]]; known && got != w[1] {
			r.warn("redis.assumed", s.configSet(w[0], w[1]),
				"redis.durability is \"assumed\", and Redis has %s %q: acknowledged mail is lost when this machine loses power",
				w[0], got)
		}
	}
}

// secrets looks at passwords in Redis's settings, which our login may read: whoever has it has those as well.
func (s *Site) secrets(h holdstore.Health, r report) {
	for _, name := range h.GivesAway {
		r.warn("redis.gives-away",
			byHand+"only the administrator of Redis can do it: take "+name+" out of redis.conf, give whoever needs it a user "+
				"of their own, "+
				"and restart Redis (/usr/share/doc/recall-milter/docs/redis.md, \"Login\")",
			"CONFIG GET shows the password in %s to this gateway's login: whoever has the login has that password too", name)
	}
}

// snapshots looks at snapshots, which we do not need, and which stop all writes when they fail.
func (s *Site) snapshots(h holdstore.Health, r report) {
	if h.Info["rdb_last_bgsave_status"] == "err" && h.Config["stop-writes-on-bgsave-error"] == "yes" &&
		h.Config["save"] != "" {
		r.bad("redis.snapshot", s.configSet("save", ""),
			"the last snapshot failed, and so Redis refuses all mail: clients hear 451")
	}
}

// disk looks at how Redis gets on with its disk.
func (s *Site) disk(h holdstore.Health, r report) {
	if h.Info["aof_last_bgrewrite_status"] == "err" {
		r.warn("redis.aof",
			byHand+"only you know what can go: make room in "+h.Config["dir"]+", then: "+s.redisCLI("BGREWRITEAOF"),
			"the last rewrite of the append-only file failed: it grows until the disk is full")
	}
	free, known := freeBytes(h.Config["dir"])
	size := number(h.Info["aof_current_size"])
	if known && s.redisIsHere() && free < max(2*size, minimumFree) {
		r.warn("redis.disk", byHand+"only you know what can go: make room in "+h.Config["dir"],
			"%s are free where the append-only file (%s) lies: when the disk is full, no mail is taken", sized(free),
			sized(size))
	}
}

// minimumFree is what a disk needs besides what the append-only file takes when it is rewritten, in bytes.
const minimumFree = 256 << 20

func (s *Site) replicas(h holdstore.Health, r report) {
	there, wanted := number(h.Info["connected_slaves"]), int64(s.Config.Redis.Replicas)
	if there < wanted {
		r.bad("redis.replicas",
			byHand+"only you know where the replicas are: start them, or lower replicas under [redis] in "+s.File+
				", then: systemctl restart recall-milter",
			"redis.replicas wants %d acknowledgements and %d replicas are connected: no mail can be held", wanted, there)
	}
	if least := number(h.Config["min-replicas-to-write"]); there < least {
		r.bad("redis.min-replicas",
			byHand+"only you know where the replicas are: start them; or, without them, "+s.configSet("min-replicas-to-write",
				strconv.FormatInt(there, 10)), "min-replicas-to-write is %d and %d replicas are connected: Redis refuses all mail",
			least, there)
	}
}

// memory looks whether what is held, and what is to come at this rate, has room.
func (s *Site) memory(h holdstore.Health, stats holdstore.Stats, n int, r report) {
	used, limit := number(h.Info["used_memory"]), number(h.Info["maxmemory"])
	fix, whose := s.moreMemory(h), "maxmemory"
	if limit == 0 {
		limit, whose = number(h.Info["total_system_memory"]), "this machine's memory, as maxmemory is not set"
	}
	if limit == 0 {
		return
	}
	switch share := used * 100 / limit; {
	case share >= full:
		r.bad("redis.memory", fix, "Redis uses %s, %d %% of %s: a full store takes no mail, and clients hear 451",
			sized(used), share, whose)
	case share >= nearlyFull:
		r.warn("redis.memory", fix, "Redis uses %s, %d %% of %s: a full store takes no mail", sized(used), share, whose)
	case s.coming(stats)/int64(n) > limit*full/100-used:
		r.warn("redis.rate", fix, "at this rate %s more are held before the first is released, and %s are left of %s: the "+
			"store will be full, and clients hear 451",
			sized(s.coming(stats)), sized(limit-used), whose)
	}
}

// coming is how many bytes will come, at the rate of what is held, before holds begin to leave.
func (s *Site) coming(stats holdstore.Stats) int64 {
	age, grace := time.Since(stats.Oldest), time.Duration(s.Config.Hold.Grace)
	if stats.Oldest.IsZero() || age >= grace || age < grace/10 {
		return 0
	}
	return int64(float64(stats.Bytes) * float64(grace-age) / float64(age))
}

func (s *Site) clock(h holdstore.Health, r report) {
	ahead := h.Ahead.Abs()
	if ahead > h.RoundTrip && ahead > clockWarning {
		direction := map[bool]string{true: "ahead of", false: "behind"}[h.Ahead > 0]
		say := r.warn
		if ahead > clockError {
			say = r.bad
		}
		say("redis.clock", "systemctl enable --now systemd-timesyncd # on both machines, or chrony",
			"the clock of Redis is %v %s ours: due moments are Redis's, dates in mails and logs are ours",
			ahead.Round(time.Millisecond), direction)
	}
	if h.RoundTrip > slow {
		r.warn("redis.slow",
			byHand+"the reason is not seen from here: "+s.redisCLI("LATENCY DOCTOR")+" and SLOWLOG GET say more",
			"Redis takes %v for a command: each message waits for several", h.RoundTrip.Round(time.Millisecond))
	}
}

// startRedis is how the store of the package is started here.
func startRedis(s *Site) string {
	for _, a := range s.Config.Redis.Addresses {
		if strings.Contains(a, "/run/recall-milter-store/") {
			return "systemctl enable recall-milter-store; systemctl restart recall-milter-store"
		}
	}
	return byHand + "only you know how it is run: start Redis at " + strings.Join(s.Config.Redis.Addresses, ", ") +
		" (restart it if it hangs), or correct redis.addresses"
}

// redisIsHere says whether Redis writes to a disk of this machine.
func (s *Site) redisIsHere() bool {
	for _, a := range s.Config.Redis.Addresses {
		if !Endpoint(a).Local() {
			return false
		}
	}
	return s.Config.Redis.SentinelMaster == ""
}

// freeBytes is what a disk has left for users.
func freeBytes(dir string) (int64, bool) {
	var disk syscall.Statfs_t
	if dir == "" || syscall.Statfs(dir, &disk) != nil {
		return 0, false
	}
	return int64(disk.Bavail) * int64(disk.Bsize), true
}

func number(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}

// sized is a number of bytes for people.
func sized(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f KB", float64(n)/(1<<10))
}
