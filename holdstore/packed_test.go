package holdstore

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
	"github.com/recall-milter/recall-milter/test/server"
)

// office is a message as an MTA of an office tells of it.
func office(n int) Submission {
	login := fmt.Sprint("user", n%500)
	return Submission{QueueID: fmt.Sprintf("4XyZ%07dz1B", n), Login: login, AuthType: "PLAIN", TLS: "TLSv1.3",
		MessageID: fmt.Sprintf("<%08x-%04x-4a2b-9c3d-%012x@corp.example>", n*2654435761&0xffffffff, n&0xffff, n*7919),
		Subject:   fmt.Sprintf("Re: minutes of the meeting on %d November", n%30),
		Date:      "Sat, 28 Nov 2026 14:01:02 +0000", Daemon: "submission", Gateway: "gw1.corp.example",
		Sender: Path{Address: login + "@corp.example", Args: []string{"SIZE=" + strconv.Itoa(4000+n%1000), "BODY=8BITMIME"}},
		Recipients: []Path{{Address: fmt.Sprintf("first.person%d@far%d.example", n, n%1000)},
			{Address: fmt.Sprintf("other.person%d@away%d.example", n, n%777)}},
		Client: Client{Address: fmt.Sprintf("192.0.2.%d", n%250), Port: 40000 + n%20000, Name: "pc17.corp.example",
			PTR: "pc17.corp.example", HELO: "[192.0.2.17]"}}
}

// sent holds a message, and lets it be sent to all recipients. meanwhile, which may be nil, happens before that is
// written.
func sent(t *testing.T, s *Store, sub Submission, meanwhile func(c *Claim)) (claimed Hold, results map[int]Result) {
	t.Helper()
	p := s.Put(sub, []byte("Subject: x\r\n"))
	if _, err := p.Commit(t.Context(), Terms{Rule: "default"}); err != nil {
		t.Fatal(err)
	}
	c := claimOne(t, s)
	if meanwhile != nil {
		meanwhile(c)
	}
	detail := "250 2.0.0 Ok: queued as 4XyZ" + sub.QueueID
	results = map[int]Result{}
	for n := range sub.Recipients {
		results[n] = Result{Outcome: Sent, Detail: detail, At: time.UnixMilli(1795874564000 + int64(n)).UTC()}
	}
	if err := s.Settle(t.Context(), c, Settlement{Results: results, Detail: detail}); err != nil {
		t.Fatal(err)
	}
	return c.Hold, results
}

// What a record says is the same whether it is packed or not.
func TestAPackedRecordSaysWhatItSaid(t *testing.T) {
	t.Parallel()
	addr := server.StartRedis(t).Addr
	for kind, s := range map[string]*Store{"open": open(t, addr), "sealed": openSealed(t, addr, key(1))} {
		bounce := submission("bounce")
		bounce.Sender, bounce.Login, bounce.Client = Path{}, "", Client{}
		six := office(2)
		six.Client.Address, six.Subject = "2001:db8::7", ""
		mapped := office(3)
		mapped.Client.Address, mapped.Login = "::ffff:192.0.2.7", "ſam\xff"
		for _, sub := range []Submission{office(1), submission("wide"), bounce, six, mapped} {
			h, results := sent(t, s, sub, nil)
			fields := shelvedFields(t, s, h.ID)
			if fields["x"] == "" || fields["r0"] != "" || strings.Contains(fields["p"], "{") {
				t.Errorf("%s, %s: it is not packed: %q", kind, sub.MessageID, fields)
			}
			got, err := s.Get(t.Context(), h.ID)
			if err != nil || got.Proven() != nil {
				t.Fatal(err, got.Proven())
			}
			if !reflect.DeepEqual(got.Submission, h.Submission) || got.Terms.Rule != "default" || got.HeldAt != h.HeldAt ||
				got.Due != h.Due || got.Size != h.Size || got.Attempts != 1 || got.State != Released {
				t.Errorf("%s: it says\n%+v, and it was\n%+v", kind, got, h)
			}
			for n, r := range got.Results {
				if r != results[n] {
					t.Errorf("%s: recipient %d got %+v, want %+v", kind, n, r, results[n])
				}
			}
			last := got.Timeline[len(got.Timeline)-1]
			at, _, err := s.LeftAt(t.Context(), h.ID)
			if len(got.Timeline) != 2 || last.Verb != "released" || last.Detail != results[0].Detail || err != nil ||
				!at.Equal(last.At) || at.Before(h.HeldAt) {
				t.Errorf("%s: its timeline is %+v, it left at %v, %v", kind, got.Timeline, at, err)
			}
		}
	}
}

// Whoever adds a field to a record must pack it: here every field has a value.
func TestEveryFieldOfARecordIsPacked(t *testing.T) {
	t.Parallel()
	var terms storedTerms
	n := 0
	var fill func(v reflect.Value)
	fill = func(v reflect.Value) {
		n++
		switch v.Kind() {
		case reflect.String:
			v.SetString(fmt.Sprint("text", n))
		case reflect.Int:
			v.SetInt(int64(n))
		case reflect.Bool:
			v.SetBool(true)
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			fill(v.Index(0))
			fill(v.Index(1))
		case reflect.Struct:
			for i := range v.NumField() {
				fill(v.Field(i))
			}
		default:
			t.Fatalf("a field of kind %v", v.Kind())
		}
	}
	fill(reflect.ValueOf(&terms).Elem())
	want, err := json.Marshal(terms)
	got, ok := (&packed{rest: string(terms.pack("KEY PROOF"))}).terms(len(terms.Recipients))
	if err != nil || !ok || got != string(want)+"\nKEY PROOF" {
		t.Errorf("packed and read again it is\n%s, want\n%s", got, want)
	}
}

// What happens to a message after its release is written over what is packed.
func TestWhatHappensAfterTheReleaseIsWrittenIntoAPackedRecord(t *testing.T) {
	t.Parallel()
	s := openSealed(t, server.StartRedis(t).Addr, key(1))
	h, results := sent(t, s, office(1), nil)
	asked := []Request{{RequestID: "X", Hold: h.ID, Domain: "far1.example", Recipients: []int{0}}}
	if _, err := s.RequestRecall(t.Context(), h.ID, asked, time.Hour, Actor{By: "anna"}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Get(t.Context(), h.ID)
	if err != nil || got.Results[0].Outcome != Requested || got.Results[0].Detail != results[0].Detail ||
		got.Results[1] != results[1] || len(got.Timeline) != 3 {
		t.Fatalf("after a request: %+v, %v", got, err)
	}
	if err := s.AddAnswers(t.Context(), h.ID, "far1.example", []Answer{{0, Retracted, "done"}}); err != nil {
		t.Fatal(err)
	}
	got, err = s.Get(t.Context(), h.ID)
	if err != nil || got.Results[0].Outcome != Retracted || got.Results[0].Detail != "done" || len(got.Timeline) != 4 {
		t.Fatalf("after an answer: %+v, %v", got, err)
	}
	for fault, err := range s.Fsck(t.Context(), false, nil) {
		t.Errorf("fsck: %+v %v", fault, err)
	}
}

// A result that was written later counts over the packed one. Only a note that a gateway is asked takes over what is
// packed, unless it says something of its own.
func TestWhatIsWrittenLaterCountsOverAPackedResult(t *testing.T) {
	packed := storedResult{Outcome: Sent, At: 1, Detail: "250 ok", Proof: "P"}
	for written, want := range map[string]string{
		"":                                   `{"o":"sent","d":"250 ok","t":1,"k":"P"}`,
		`{"o":"requested","t":2}`:            `{"o":"requested","d":"250 ok","t":2,"k":"P"}`,
		`{"o":"requested","d":"own","t":2}`:  `{"o":"requested","d":"own","t":2}`,
		`{"o":"retracted","t":3}`:            `{"o":"retracted","t":3}`,
		`{"o":"sent","d":"x","t":3,"k":"Q"}`: `{"o":"sent","d":"x","t":3,"k":"Q"}`,
		`{"o":"requested","t":2} is damaged`: `{"o":"requested","t":2} is damaged`,
		`{"o":"requested","t":"no moment"}`:  `{"o":"requested","t":"no moment"}`,
	} {
		if got := later(packed, written); got != want {
			t.Errorf("%s over what is packed: %s, want %s", written, got, want)
		}
	}
}

// What was written into a hold while it was sent is not lost by packing.
func TestWhatHappensWhileAMessageIsSentStaysInItsRecord(t *testing.T) {
	t.Parallel()
	s := open(t, server.StartRedis(t).Addr)
	for what, happens := range map[string]func(c *Claim) error{
		"a note": func(c *Claim) error { return s.Note(t.Context(), c.ID, Event{Verb: "noted", By: "anna"}) },
		"a counter of pending recipients": func(c *Claim) error {
			c.fields["np"] = "2"
			return s.nodes.Client.HSet(t.Context(), holdKey(s.nodes.Of(c.ID), c.ID), "np", 2).Err()
		},
		"progress": func(c *Claim) error {
			return s.Progress(t.Context(), c, map[int]Result{1: {Outcome: Sent, Detail: "250 first"}})
		},
	} {
		h, _ := sent(t, s, office(len(what)), func(c *Claim) {
			if err := happens(c); err != nil {
				t.Fatal(err)
			}
		})
		got, err := s.Get(t.Context(), h.ID)
		if err != nil || got.State != Released || what == "a note" && len(got.Timeline) != 3 {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
		if x := s.nodes.Client.HGet(t.Context(), holdKey(s.nodes.Of(h.ID), h.ID), "x").Val(); x != "" {
			t.Errorf("%s: the record is packed", what)
		}
	}
}

// recordMost is how many bytes of Redis a record of a released message takes at most, with a tenth to spare: of office,
// among 2,000. docs/sizing.md has what that comes to among more, which share index keys.
const recordMost = 930

func TestTheRecordOfAReleasedMessageIsSmall(t *testing.T) {
	t.Parallel()
	const sessions = 50
	records, most := 2000, recordMost
	if n, _ := strconv.Atoi(os.Getenv("BENCH_RECORDS")); n > 0 {
		records, most = n, 500
	}
	r := server.StartRedis(t, "--appendonly", "no", "--hash-max-listpack-value", "1024")
	s, err := Open(Options{Addresses: []string{r.Addr}, Durability: "relaxed"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	release := func() {
		for claims, err := s.Claim(t.Context(), 100); len(claims) > 0 || err != nil; claims, err = s.Claim(t.Context(), 100) {
			if err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			for _, c := range claims {
				detail := "250 2.0.0 Ok: queued as 9Abc" + c.QueueID[4:]
				all.Go(func() {
					results := map[int]Result{0: {Outcome: Sent, Detail: detail}, 1: {Outcome: Sent, Detail: detail}}
					if err := s.Settle(t.Context(), c, Settlement{Results: results, Detail: detail}); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
		}
	}
	hold := func(n int) {
		c, err := s.Put(office(n), []byte("Subject: x\r\n")).Commit(t.Context(), Terms{Rule: "default"})
		if err != nil {
			t.Error(err)
		}
		s.Confirm(c)
	}
	hold(records)
	release()
	before := memoryOf(t, s)
	var all sync.WaitGroup
	begin := time.Now()
	for session := range sessions {
		all.Go(func() {
			for n := session; n < records; n += sessions {
				hold(n)
			}
		})
	}
	all.Wait()
	rate := float64(records) / time.Since(begin).Seconds()
	release()
	unconfirmed := func() bool { return s.nodes.Client.HLen(t.Context(), string(s.nodes.Shards[0])+"u").Val() == 0 }
	server.Eventually(t, "all are confirmed", unconfirmed)
	each := (memoryOf(t, s) - before) / records
	if each > most || each < most/2 {
		t.Errorf("a record takes %d bytes, want at most %d, and not much less", each, most)
	}
	at := s.nodes.Shards[0]
	t.Logf("%d messages, %.0f a second: a record takes %d bytes; %d shelves, %d records on none", records, rate, each,
		s.nodes.Client.ZCard(t.Context(), endsKey(at)).Val(), s.nodes.Client.ZCard(t.Context(), stateKey(at, Released)).Val())
}

func memoryOf(t *testing.T, s *Store) int {
	t.Helper()
	_, text, _ := strings.Cut(s.nodes.Client.Info(t.Context(), "memory").Val(), "used_memory:")
	text, _, _ = strings.Cut(text, "\r")
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// shelvedFields are those of a record on a shelf; none: it is on none.
func shelvedFields(t *testing.T, s *Store, id string) map[string]string {
	t.Helper()
	found := make([]map[string]string, 1)
	if err := s.onShelves(t.Context(), []string{id}, found); err != nil {
		t.Fatal(err)
	}
	return found[0]
}

// shelvedIDs are the IDs of the records on a shard's shelves.
func shelvedIDs(ctx context.Context, s *Store, at nodes.Shard) (ids []string, err error) {
	shelves, err := s.nodes.Client.ZRange(ctx, endsKey(at), 0, -1).Result()
	for _, shelf := range shelves {
		rest, wrong := s.nodes.Client.HKeys(ctx, shelfKey(at, shelf)).Result()
		if wrong != nil {
			return nil, wrong
		}
		for _, field := range rest {
			ids = append(ids, shelf+field)
		}
	}
	return ids, err
}
