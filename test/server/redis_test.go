package server

import "testing"

// Whoever talks to a server that was just started talks to one that has loaded its data, or waits for it.
func TestARedisThatLoadsIsWaitedFor(t *testing.T) {
	t.Parallel()
	r := StartRedis(t, "--enable-debug-command", "yes", "--aof-use-rdb-preamble", "no", "--auto-aof-rewrite-percentage",
		"0")
	for range 1000 {
		r.Do("INCR k")
	}
	r.NextStart("--key-load-delay", "200", "--loading-process-events-interval-bytes", "1024")
	r.Restart()
	if reply := r.ask("", "GET k"); reply != "$4\r\n1000\r\n" {
		t.Errorf("after a start: %q", reply)
	}
	r.RestartLoading()
	if reply := r.Do("GET k"); reply != "$4\r\n1000\r\n" {
		t.Errorf("while it loads: %q", reply)
	}
}
