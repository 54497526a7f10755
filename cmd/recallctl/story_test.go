package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/mailmsg"
	"github.com/recall-milter/recall-milter/internal/wiring"
	"github.com/recall-milter/recall-milter/test/server"
)

func TestMain(m *testing.M) {
	os.Setenv("GORACE", "atexit_sleep_ms=0") // else each program of a test with -race sleeps for a second at its end
	testscript.Main(m, map[string]func(){"recallctl": func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}})
}

// Each story is what an administrator types and reads, on a Redis of its own.
func TestStories(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", Setup: func(env *testscript.Env) error {
		redis := server.StartRedis(env.T().(testing.TB))
		env.Setenv("REDIS", redis.Addr)
		env.Setenv("TZ", "UTC")
		env.Setenv("GORACE", os.Getenv("GORACE"))
		env.Values["redis"] = redis
		env.Values["t"] = env.T()
		_, listen, _ := strings.Cut(server.FreeAddr(env.T().(testing.TB)), ":")
		conf := fmt.Sprintf("listen = [\"inet:%s@127.0.0.1\"]\n[release]\nsmtp = %q\n[redis]\naddresses = [%q]\n", listen,
			server.FreeAddr(env.T().(testing.TB)), redis.Addr)
		return os.WriteFile(filepath.Join(env.WorkDir, "c.toml"), []byte(conf), 0o600)
	}, Cmds: map[string]func(*testscript.TestScript, bool, []string){"hold": holdMessage, "release": releaseDue,
		"redis": killRedis, "partner": partnerWrites}})
}

// holdMessage holds a message: hold NAME SENDER RECIPIENT[,RECIPIENT] GRACE [SUBJECT]. Its Message-ID is
// <NAME@mid.test>, its queue ID Q, its login the sender's; $NAME becomes its hold ID.
func holdMessage(ts *testscript.TestScript, _ bool, args []string) {
	store := storeOf(ts)
	defer store.Close()
	grace, err := time.ParseDuration(args[3])
	ts.Check(err)
	subject := strings.NewReplacer(`\x1b`, "\x1b", `\u202e`, "\u202e").Replace(strings.Join(args[4:], " "))
	sub := holdstore.Submission{QueueID: "Q", MessageID: "<" + args[0] + "@mid.test>", Login: args[1],
		Sender:  holdstore.Path{Address: args[1]},
		Subject: mailmsg.Subject(subject),
		Client:  holdstore.Client{Address: "192.0.2.7", Name: "pc.corp.test"}}
	for _, r := range strings.Split(args[2], ",") {
		sub.Recipients = append(sub.Recipients, holdstore.Path{Address: r})
	}
	p := store.Put(sub, []byte("Message-ID: <"+args[0]+"@mid.test>\r\nSubject: "+subject+"\r\n"))
	ts.Check(p.Write(context.Background(), []byte("body of "+args[0]+"\r\n")))
	receipt, err := p.Commit(context.Background(), holdstore.Terms{Rule: "default", Grace: grace})
	ts.Check(err)
	ts.Setenv(args[0], receipt.ID)
}

// releaseDue releases what is due, as the daemon would: release RESULT, for all recipients but the first, which is
// sent.
func releaseDue(ts *testscript.TestScript, _ bool, args []string) {
	store := storeOf(ts)
	defer store.Close()
	claims, err := store.Claim(context.Background(), 10)
	ts.Check(err)
	for _, c := range claims {
		st := holdstore.Settlement{Results: map[int]holdstore.Result{}}
		for i := range c.Recipients {
			if c.Results[i].Outcome != holdstore.Pending {
				continue
			}
			st.Results[i] = holdstore.Result{Outcome: holdstore.Sent, Detail: "250 2.0.0 Ok: queued as 4NEW", At: time.Now()}
			if i > 0 {
				st.Results[i] = holdstore.Result{Outcome: holdstore.Outcome(args[0]), Detail: "450 4.2.0 later", At: time.Now()}
			}
		}
		if args[0] == "pending" {
			st.RetryIn = time.Hour
		}
		ts.Check(store.Settle(context.Background(), c, st))
	}
}

// killRedis kills the story's Redis; redis do COMMAND gives it a command.
func killRedis(ts *testscript.TestScript, _ bool, args []string) {
	redis := ts.Value("redis").(*server.Redis)
	if len(args) > 1 {
		redis.Do(strings.Join(args[1:], " "))
		return
	}
	redis.Kill()
}

func storeOf(ts *testscript.TestScript) *holdstore.Store {
	keys, err := wiring.SealKeys(ts.Getenv("SEAL")) // a file of the story; empty: nothing is sealed
	ts.Check(err)
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{ts.Getenv("REDIS")}, Durability: "strict",
		SealKeys: keys})
	ts.Check(err)
	return store
}
