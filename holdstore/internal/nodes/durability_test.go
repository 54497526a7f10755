package nodes

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestWhatInfoSaysOfAServer(t *testing.T) {
	for _, c := range []struct{ change, want string }{
		{"", ""},
		{"loading:1", "redis at here is loading its data: wait"},
		{"role:slave", "redis at here is a slave: give the address of the primary"},
		{"redis_version:6.2.14", "the server at here is Redis 6.2.14: it does not know"},
		{"dragonfly_version:df-v1.30.0", "the server at here is Dragonfly df-v1.30.0: it has no append-only file"},
		{"valkey_version:9.1.2", ""},
		{"aof_enabled:0", "redis at here says aof_enabled:0 aof_last_write_status:ok"},
		{"aof_last_write_status:err", "redis at here says aof_enabled:1 aof_last_write_status:err: free space on its disk"},
	} {
		info := infoFields("role:master\r\nredis_version:7.0.15\r\nloading:0\r\n" +
			"aof_enabled:1\r\naof_last_write_status:ok\r\n" + c.change)
		err := errors.Join(usable("here", info), writes("here", info, true))
		if got := fmt.Sprint(err); c.want == "" && err != nil || !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", c.change, got)
		}
	}
}
