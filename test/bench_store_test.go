//go:build bench

package test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/server"
)

// storeBench is a Redis with the packages' settings, and what is measured on it. All numbers are ratios of what was
// done in turns in one run; rounds is how often, and the median counts.
type storeBench struct {
	*testing.T
	redis *server.Redis
	store *holdstore.Store
	plain *redis.Client
	n     atomic.Int64 // messages made so far
	text  string
}

const rounds = 3

// ofSet is the most that one writer may wait for a hold, as a part of what it waits for a SET.
const ofSet = 2.0

func newStoreBench(t *testing.T) *storeBench {
	b := &storeBench{T: t, redis: server.StartRedis(t, packagedSettings(t)...)}
	var err error
	if b.store, err = holdstore.Open(holdstore.Options{Addresses: []string{b.redis.Addr},
		Durability: "relaxed"}); err != nil {
		t.Fatal(err)
	}
	b.plain = redis.NewClient(&redis.Options{Addr: b.redis.Addr, PoolSize: 64})
	t.Cleanup(func() { b.store.Close(); b.plain.Close() })
	noise := make([]byte, 19<<20)
	rand.Read(noise)
	b.text = base64.StdEncoding.EncodeToString(noise) // as attachments are: hardly to be compressed
	return b
}

// hold makes a hold of so many bytes, as a gateway with many users does.
func (b *storeBench) hold(size int, grace time.Duration, login string) string {
	i := int(b.n.Add(1))
	if login == "" {
		login = fmt.Sprintf("user%d", i%5000)
	}
	sub := holdstore.Submission{QueueID: fmt.Sprintf("4Xy%07d", i),
		MessageID: fmt.Sprintf("<%d.20261125@mail.corp.test>", i), Login: login,
		Subject:    "The minutes of yesterday's meeting",
		Sender:     holdstore.Path{Address: login + "@corp.test", Args: []string{"SIZE=" + strconv.Itoa(size)}},
		Recipients: []holdstore.Path{{Address: fmt.Sprintf("person%d@far%d.test", i%200000, i%1000)}},
		Client:     holdstore.Client{Address: fmt.Sprintf("192.0.2.%d", i%250), Port: 4711, Name: "pc.corp.test"}}
	p := b.store.Put(sub, []byte("Subject: "+sub.Subject+"\r\nMessage-ID: "+sub.MessageID+"\r\n"))
	at := i * 4096 % (len(b.text) - size)
	for rest := b.text[at:][:size]; rest != ""; {
		some := rest[:min(len(rest), 64<<10)]
		if err := p.Write(context.Background(), []byte(some)); err != nil {
			b.Error(err)
		}
		rest = rest[len(some):]
	}
	r, err := p.Commit(context.Background(), holdstore.Terms{Rule: "default", Grace: grace})
	if err != nil {
		b.Error(err)
		return ""
	}
	b.store.Confirm(r)
	return r.ID
}

// rate does something n times by some hands, and returns how often a second.
func rate(n, hands int, do func()) float64 {
	start := time.Now()
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	for range hands {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				do()
			}
		})
	}
	wg.Wait()
	return float64(n) / time.Since(start).Seconds()
}

// redisBenchmark is the rate of redis-benchmark's SET.
func (b *storeBench) redisBenchmark(n, hands, size int) float64 {
	_, port, _ := strings.Cut(b.redis.Addr, ":")
	out, err := exec.Command(server.Program(b, "redis-benchmark"), "-p", port, "-t", "set", "-q", "-r", "100000", "-n",
		strconv.Itoa(n), "-c", strconv.Itoa(hands), "-d", strconv.Itoa(size)).CombinedOutput()
	m := regexp.MustCompile(`SET: ([0-9.]+) requests`).FindAllStringSubmatch(string(out), -1)
	if err != nil || len(m) == 0 {
		b.Fatalf("%v\n%s", err, out)
	}
	r, _ := strconv.ParseFloat(m[len(m)-1][1], 64)
	return r
}

func TestBenchStore(t *testing.T) {
	b := newStoreBench(t)
	b.against(4<<10, 3000, "0.60 of go-redis, 0.45 of redis-benchmark")
	b.against(50<<10, 800, "0.90 of redis-benchmark")
	b.floor()
	b.pieces()
	b.nextToLarge()
	b.redis.Do("FLUSHALL")
	b.million()
}

// against compares holds with plain SETs of the same size at 64 writers.
func (b *storeBench) against(size, n int, aim string) {
	var ours, sets, bench []float64
	var key atomic.Int64
	var oursCost, setsCost time.Duration // of Redis's processor time
	for range rounds {
		begun := b.cpu()
		ours = append(ours, rate(n, 64, func() { b.hold(size, time.Hour, "") }))
		held := b.cpu()
		sets = append(sets, rate(n, 64, func() {
			if err := b.plain.Set(context.Background(), fmt.Sprint("plain", key.Add(1)), b.text[:size], 0).Err(); err != nil {
				b.Error(err)
			}
		}))
		oursCost, setsCost = oursCost+held-begun, setsCost+b.cpu()-held
		bench = append(bench, b.redisBenchmark(n, 64, size))
	}
	b.Logf("a hold of %d KB takes %v of redis's processor, a SET %v", size>>10, oursCost/time.Duration(rounds*n),
		setsCost/time.Duration(rounds*n))
	b.Logf("hold of %d KB at 64 writers: %.0f/s; go-redis SET %.0f/s = %.2f of it; redis-benchmark %.0f/s = %.2f of it "+
		"(aim %s)",
		size>>10, median(ours), median(sets), median(ours)/median(sets), median(bench), median(ours)/median(bench), aim)
}

// floor compares one writer's hold with a write and fsync of its own in the same folder.
func (b *storeBench) floor() {
	f, err := os.Create(filepath.Join(b.redis.Dir, "floor"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	var ours, sets, disk []time.Duration
	for i := range 500 {
		start := time.Now()
		b.hold(4<<10, time.Hour, "")
		ours = append(ours, time.Since(start))
		start = time.Now()
		b.plain.Set(context.Background(), fmt.Sprint("floor", i), b.text[:4<<10], 0)
		sets = append(sets, time.Since(start))
		start = time.Now()
		f.WriteString(b.text[:4<<10])
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		disk = append(disk, time.Since(start))
	}
	hold, set, write := quantile(ours, 50), quantile(sets, 50), quantile(disk, 50)
	of := hold.Seconds() / set.Seconds()
	b.Logf("one writer, 4 KB: p50 %v; go-redis SET with the same sync %v, of it %.2f (aim %.1f%s); write and fsync of "+
		"the same disk %v, of it %.2f", hold, set, of, ofSet, missed(of > ofSet), write, hold.Seconds()/write.Seconds())
}

// pieces says what Redis itself takes for large mail: SETs as large as the pieces of a message, with the same sync.
func (b *storeBench) pieces() {
	const n, size = 400, 256 << 10
	before, start := b.cpu(), time.Now()
	var key atomic.Int64
	rate(n, 16, func() {
		if err := b.plain.Set(context.Background(), fmt.Sprint("piece", key.Add(1)), b.text[:size], 0).Err(); err != nil {
			b.Error(err)
		}
	})
	const megabytes = n * size >> 20
	b.Logf("SET of 256 KB, 16 writers: %.0f MB/s; Redis takes %.1f ms of processor a megabyte: no hold of large mail "+
		"takes less", megabytes/time.Since(start).Seconds(), (b.cpu()-before).Seconds()*1000/megabytes)
}

// nextToLarge compares small holds alone with small holds while 25 MB messages are held.
func (b *storeBench) nextToLarge() {
	small := func() (all []time.Duration) {
		var mu sync.Mutex
		rate(1500, 16, func() {
			start := time.Now()
			b.hold(4<<10, time.Hour, "")
			took := time.Since(start)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took)
		})
		return all
	}
	var ratios []float64
	large := 0 // each of another sender: what is recalled still counts for its sender while it can be restored
	for range rounds {
		alone := quantile(small(), 99)
		ctx, stop := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() {
			for ctx.Err() == nil {
				large++
				id := b.hold(25<<20-1024, time.Hour, fmt.Sprintf("large%d", large))
				b.store.Recall(context.Background(), id, holdstore.Actor{By: "bench"})
			}
		})
		loaded := quantile(small(), 99)
		stop()
		wg.Wait()
		b.Logf("p99 of small holds at 16 writers: %v; while 25 MB messages are held: %v", alone, loaded)
		ratios = append(ratios, float64(loaded)/float64(alone))
	}
	b.Logf("small holds next to large ones: %.2f of their p99 alone (aim 2.0)", median(ratios))
}

// million fills the store, to BENCH_HOLDS or a million, and measures what depends on how full it is.
func (b *storeBench) million() {
	full := 1_000_000
	if n, err := strconv.Atoi(os.Getenv("BENCH_HOLDS")); err == nil {
		full = n
	}
	other := newStoreBench(b.T) // stays a step behind, for turns
	before := b.memory()
	b.fill(full / 10)
	var empty, tenth []float64
	for range rounds {
		other.redis.Do("FLUSHALL")
		empty = append(empty, other.accepts())
		tenth = append(tenth, b.accepts())
	}
	b.Logf("accepted with %d held: %.0f/s; with none: %.0f/s = %.2f of it (aim 0.9)", full/10, median(tenth),
		median(empty), median(tenth)/median(empty))
	other.fill(full / 10)
	b.fill(full)
	held := b.waiting()
	b.Logf("%d held: %.0f bytes of Redis's memory for each, of which some 600 are content", held,
		float64(b.memory()-before)/float64(held))
	var few, many []time.Duration
	for range rounds {
		few, many = append(few, other.recalls()...), append(many, b.recalls()...)
	}
	b.Logf("recall by ID: p99 %v with %d held, %v with %d = %.2f (aim 1.2)", quantile(few, 99), full/10,
		quantile(many, 99), held, float64(quantile(many, 99))/float64(quantile(few, 99)))
	b.searches()
	b.stolen()
	b.claims()
	b.restart()
}

func (b *storeBench) accepts() float64 {
	return rate(2000, 64, func() { b.hold(512, 24*time.Hour, "") })
}

func (b *storeBench) waiting() int {
	s, err := b.store.Stats(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	return s.Count[holdstore.Held]
}

// fill holds small messages, without a sync for each, until so many are held; a tenth of them is mallory's.
func (b *storeBench) fill(to int) {
	b.redis.Do("CONFIG SET appendfsync no")
	start, n := time.Now(), to-b.waiting()
	var i atomic.Int64
	rate(n, 64, func() {
		login := ""
		if i.Add(1)%10 == 0 {
			login = "mallory"
		}
		b.hold(512, 24*time.Hour, login)
	})
	b.redis.Do("CONFIG SET appendfsync always")
	b.Logf("%d more held in %v", n, time.Since(start).Round(time.Second))
}

func (b *storeBench) memory() int {
	_, text, _ := strings.Cut(b.redis.Do("INFO memory"), "used_memory:")
	text, _, _ = strings.Cut(text, "\r")
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// cpu is the processor time that Redis has taken.
func (b *storeBench) cpu() (all time.Duration) {
	for _, m := range regexp.MustCompile(`used_cpu_(?:sys|user):([0-9.]+)`).FindAllStringSubmatch(b.redis.Do("INFO cpu"),
		-1) {
		seconds, _ := strconv.ParseFloat(m[1], 64)
		all += time.Duration(seconds * float64(time.Second))
	}
	return all
}

// recalls takes 1000 messages back, one after the other.
func (b *storeBench) recalls() (all []time.Duration) {
	var ids []string
	for h, err := range b.store.Find(context.Background(), holdstore.Query{}) {
		if err != nil {
			b.Fatal(err)
		}
		if ids = append(ids, h.ID); len(ids) == 1000 {
			break
		}
	}
	for _, id := range ids {
		start := time.Now()
		if _, err := b.store.Recall(context.Background(), id, holdstore.Actor{By: "bench"}); err != nil {
			b.Fatal(err)
		}
		all = append(all, time.Since(start))
	}
	return all
}

// searches measures a search that an index answers, one that looks at everything, and the first page of a list.
func (b *storeBench) searches() {
	search := func(q holdstore.Query, most int) (time.Duration, int) {
		start, n := time.Now(), 0
		for _, err := range b.store.Find(context.Background(), q) {
			if err != nil {
				b.Fatal(err)
			}
			if n++; n == most {
				break
			}
		}
		return time.Since(start), n
	}
	var index []time.Duration
	for i := range 100 {
		took, _ := search(holdstore.Query{Recipient: fmt.Sprintf("person%d@far%d.test", i, i)}, 0)
		index = append(index, took)
	}
	start, keys := time.Now(), 0
	for cursor := uint64(0); ; {
		names, next, err := b.plain.Scan(context.Background(), cursor, "*person1@*", 1000).Result()
		if err != nil {
			b.Fatal(err)
		}
		if keys, cursor = keys+len(names), next; cursor == 0 {
			break
		}
	}
	scan := time.Since(start)
	b.Logf("by recipient: p50 %v; SCAN over all keys: %v = %.0f times as long", quantile(index, 50),
		scan.Round(time.Millisecond), float64(scan)/float64(quantile(index, 50)))
	took, n := search(holdstore.Query{}, 100)
	b.Logf("the first %d due: %v", n, took.Round(time.Millisecond))
	took, _ = search(holdstore.Query{Subject: "no such subject"}, 0)
	b.Logf("by subject, looking at all: %v", took.Round(time.Millisecond))
}

// stolen recalls all of one login, as recallctl does.
func (b *storeBench) stolen() {
	start := time.Now()
	var ids []string
	for h, err := range b.store.Find(context.Background(),
		holdstore.Query{Login: "mallory", States: []holdstore.State{holdstore.Held}, AnyOrder: true}) {
		if err != nil {
			b.Fatal(err)
		}
		ids = append(ids, h.ID)
	}
	found := time.Since(start)
	done := 0
	err := b.store.Bulk(context.Background(), b.store.Recalling(), ids, holdstore.Actor{By: "bench"},
		func(some []holdstore.Acted) { done += len(some) })
	b.Logf("a stolen account: %d found in %v, %d recalled in %v altogether, %v", len(ids), found.Round(time.Millisecond),
		done, time.Since(start).Round(time.Millisecond), err)
}

// claims takes due messages, reads them and settles them one by one.
func (b *storeBench) claims() {
	const n = 10000
	b.redis.Do("CONFIG SET appendfsync no")
	rate(n, 64, func() { b.hold(512, 0, "") })
	b.redis.Do("CONFIG SET appendfsync always")
	before := b.waiting()
	var done atomic.Int64
	start := time.Now()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for done.Load() < n {
				cs, err := b.store.Claim(context.Background(), 8)
				if err != nil || len(cs) == 0 {
					return
				}
				for _, c := range cs {
					if err := b.store.Settle(context.Background(), c,
						holdstore.Settlement{Results: map[int]holdstore.Result{0: {Outcome: holdstore.Sent,
							Detail: "250 2.0.0 Ok: queued as 4NEW"}}}); err != nil {
						b.Error(err)
					}
					done.Add(1)
				}
			}
		})
	}
	wg.Wait()
	b.Logf("from claim to settle with %d held, each settled by itself: %.0f/s (aim 5,000)", before,
		float64(done.Load())/time.Since(start).Seconds())
}

// restart measures how long Redis reads its data.
func (b *storeBench) restart() {
	size := 0
	filepath.WalkDir(filepath.Join(b.redis.Dir, "appendonlydir"), func(_ string, d os.DirEntry, err error) error {
		if info, wrong := d.Info(); err == nil && wrong == nil && !d.IsDir() {
			size += int(info.Size())
		}
		return nil
	})
	held, start := b.waiting(), time.Now()
	b.redis.Restart()
	server.Eventually(b, "redis has read its data", func() bool { return b.plain.Ping(context.Background()).Err() == nil })
	b.Logf("restart with %d held and an append-only file of %d MB: %v", held, size>>20,
		time.Since(start).Round(100*time.Millisecond))
}
