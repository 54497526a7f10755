package holdstore

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// With a seal key nobody who reads Redis learns from jobs whom they are about, and nobody who writes to it makes one:
// neither of another job's data, nor of data that is not sealed.
func TestJobsAndRequestsAreSealed(t *testing.T) {
	t.Parallel()
	r := server.StartRedis(t)
	s := openSealed(t, r.Addr, key(1))
	ctx, at := t.Context(), s.nodes.Shards[0]
	for _, id := range []string{"one", "two"} {
		if err := s.AddJob(ctx, id, "retract", map[string]string{"to": "victim-of-" + id + "@corp.test"}, 0); err != nil {
			t.Fatal(err)
		}
	}
	job := func(id string) string { return string(at) + "j:" + id }
	stored := s.nodes.Client.HGet(ctx, job("one"), "data").Val()
	if strings.Contains(stored, "victim") ||
		strings.Contains(s.nodes.Client.HGet(ctx, job("two"), "data").Val(), "victim") {
		t.Error("a job tells whom it is about")
	}
	for name, data := range map[string]string{
		"it is another job's":   s.nodes.Client.HGet(ctx, job("two"), "data").Val(),
		"it is not sealed":      "\x00" + `{"to":"somebody@corp.test"}`,
		"nothing is like that":  `{"to":"somebody@corp.test"}`,
		"its last byte changed": stored[:len(stored)-1] + "x",
	} {
		j := &Job{ID: "one", Kind: "retract", data: data, seal: s.seal}
		var v map[string]string
		if err := j.Read(&v); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v, it says %v", name, err, v)
		}
	}
	var v map[string]string
	if err := (&Job{ID: "one", Kind: "ask", data: stored, seal: s.seal}).Read(&v); !errors.Is(err, ErrDamaged) {
		t.Errorf("as a job of another kind: %v", err)
	}
	if j, err := s.ClaimJob(ctx); err != nil || j.Read(&v) != nil || v["to"] != "victim-of-"+j.ID+"@corp.test" {
		t.Errorf("%v: %v", err, v)
	}
	s.nodes.Client.Set(ctx, requestKey(at, "TOKEN"), `{"q":"TOKEN","h":"2222222222222","d":"evil.test"}`, time.Hour)
	if a, err := s.Request(ctx, "TOKEN"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a request that somebody wrote into Redis: %+v %v", a, err)
	}
}
