package doctor

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
)

// What a real server can't be brought to say in a test is put into its mouth.
func TestEachFaultInWhatRedisSaysIsNamed(t *testing.T) {
	const mb = "1048576"
	now := time.Now()
	for name, c := range map[string]struct {
		info, config map[string]string
		ahead, takes time.Duration
		gives        []string
		stats        holdstore.Stats
		want         string
	}{
		"healthy":        {},
		"old":            {info: map[string]string{"redis_version": "6.2.7"}, want: "redis.version"},
		"no append-only": {info: map[string]string{"dragonfly_version": "df-v1.30.0"}, want: "redis.version"},
		"loading":        {info: map[string]string{"loading": "1"}, want: "redis.loading"},
		"ahead":          {ahead: 5 * time.Second, want: "redis.clock"},
		"behind":         {ahead: -2 * time.Minute, want: "redis.clock"},
		"far away":       {takes: 100 * time.Millisecond, ahead: 60 * time.Millisecond, want: "redis.slow"},
		"nearly full":    {info: map[string]string{"maxmemory": mb, "used_memory": "800000"}, want: "redis.memory"},
		"full":           {info: map[string]string{"maxmemory": mb, "used_memory": "1040000"}, want: "redis.memory"},
		"machine full":   {info: map[string]string{"used_memory": "15000000000"}, want: "redis.memory"},
		"soon full": {info: map[string]string{"maxmemory": "1000000000", "used_memory": "500000000"},
			stats: holdstore.Stats{Bytes: 450e6, Oldest: now.Add(-time.Minute)}, want: "redis.rate"},
		"steady": {info: map[string]string{"maxmemory": "1000000000", "used_memory": "500000000"},
			stats: holdstore.Stats{Bytes: 450e6, Oldest: now.Add(-2 * time.Minute)}},
		"a burst": {info: map[string]string{"maxmemory": "1000000000", "used_memory": "500000000"},
			stats: holdstore.Stats{Bytes: 1e6, Oldest: now.Add(-time.Second)}},
		"no room": {info: map[string]string{"aof_current_size": "1000000000000000"},
			config: map[string]string{"dir": "/"}, want: "redis.disk"},
		"rewrite failed": {info: map[string]string{"aof_last_bgrewrite_status": "err"}, want: "redis.aof"},
		"snapshot failed": {info: map[string]string{"rdb_last_bgsave_status": "err"},
			config: map[string]string{"save": "3600 1", "stop-writes-on-bgsave-error": "yes"}, want: "redis.snapshot"},
		"an open password": {gives: []string{"requirepass"}, want: "redis.gives-away"},
		"snapshots are off": {info: map[string]string{"rdb_last_bgsave_status": "err"},
			config: map[string]string{"save": "", "stop-writes-on-bgsave-error": "yes"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := siteOf(t, "[hold]\ngrace = \"2m\"\n")
			h := holdstore.Health{Info: map[string]string{"redis_version": "7.0.15", "used_memory": "1000000",
				"total_system_memory": "16000000000"},
				Config: map[string]string{}, Ahead: c.ahead, RoundTrip: max(c.takes, time.Millisecond), GivesAway: c.gives}
			maps.Copy(h.Info, c.info)
			maps.Copy(h.Config, c.config)
			found := gathered(func(r report) { s.judge(h, c.stats, 1, r) })
			if got := strings.Join(checks(found), " "); got != c.want {
				t.Errorf("found %q, want %q: %+v", got, c.want, found)
			}
			fixed(t, found)
		})
	}
}

func TestAFixIsCutFromWhatTheStoreSays(t *testing.T) {
	const cli = "redis-cli -h 127.0.0.1 -p 6379 "
	for text, want := range map[string]string{
		`redis at [::1]:6379 has appendfsync "everysec": ` +
			`run CONFIG SET appendfsync always and write it into redis.conf`: cli + "CONFIG SET appendfsync always && " +
			cli + "CONFIG REWRITE",
		"redis at 10.0.0.5:6379 says aof_enabled:1: free space on its disk": "by hand: " +
			"no command of this machine does it: free space on its disk",
		"no words": "by hand: the words say all that is known from here",
	} {
		if _, fix := siteOf(t, "").cutFix(text); fix != want {
			t.Errorf("%q: %q", text, fix)
		}
	}
}

// A store that is short of memory is given more; nothing that is held is sent early.
func TestAFullStoreIsGivenMemory(t *testing.T) {
	for _, c := range []struct{ text, limit, all, want string }{
		{"[redis]\naddresses = [\"unix:/run/r.sock\"]", "1073741824", "16000000000",
			"redis-cli -s /run/r.sock CONFIG SET maxmemory 2048mb && redis-cli -s /run/r.sock CONFIG REWRITE"},
		{"", "0", "16000000000", "redis-cli -h 127.0.0.1 -p 6379 CONFIG SET maxmemory 7629mb &&"},
		{"", "15000000000", "16000000000", "by hand: this machine has no more memory for Redis"},
		{"[redis]\nusername = \"x\"", "1073741824", "16000000000", "by hand: doctor has no login that can change Redis"},
	} {
		fix := siteOf(t, c.text).moreMemory(holdstore.Health{Info: map[string]string{"maxmemory": c.limit,
			"total_system_memory": c.all, "used_memory": "1000000"}})
		if !strings.HasPrefix(fix, c.want) || strings.Contains(fix, "release") || strings.Contains(fix, "drain") {
			t.Errorf("%+v: %s", c, fix)
		}
	}
}
