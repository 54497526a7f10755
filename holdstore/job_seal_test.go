package holdstore

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

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

// Nobody who writes to Redis has a sender told of a recall: a report is about a hold for which a gateway has asked.
func TestNobodyWhoWritesToRedisMakesAReport(t *testing.T) {
	t.Parallel()
	r := server.StartRedis(t)
	s := openSealed(t, r.Addr, key(1))
	ctx, at := t.Context(), s.nodes.Shards[0]
	asked, other := released(t, s, "b@x.test"), released(t, s, "c@x.test")
	reports{t, s, asked}.askFor(0, time.Hour)
	read := func(id string, data any) error {
		job := string(at) + "j:report:" + id
		s.nodes.Client.HSet(ctx, job, "kind", JobReport, "data", data, "since", 1)
		s.nodes.Client.ZAdd(ctx, string(at)+"jobs", redis.Z{Score: 1, Member: "report:" + id})
		j, err := s.ClaimJob(ctx, OurLane)
		if err != nil || j.Kind != JobReport {
			t.Fatalf("%+v %v", j, err)
		}
		var about string
		err = j.Read(&about)
		if err == nil && about != id {
			t.Errorf("the report on %s is about %s", id, about)
		}
		if err := s.FinishJob(ctx, j, time.Hour); err != nil {
			t.Fatal(err)
		}
		return err
	}
	genuine := s.nodes.Client.HGet(ctx, string(at)+"j:report:"+asked, "data").Val()
	if err := read(asked, genuine); err != nil {
		t.Errorf("a genuine one: %v", err)
	}
	for name, data := range map[string]string{"in clear": `"` + other + `"`, "as if sealed": "\x00\"" + other + `"`,
		"another hold's": genuine} {
		if err := read(other, data); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
