package doctor

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/test/server"
)

// What becomes of a probe, by a way that the test makes.
func TestEachOutcomeOfAProbeIsNamed(t *testing.T) {
	t.Parallel()
	redis := server.StartRedis(t)
	store, err := holdstore.Open(holdstore.Options{Addresses: []string{redis.Addr}, Durability: "strict"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	// hold is a way whose mail is held; leaves: and released at once.
	hold := func(leaves bool) func(context.Context, string, string) error {
		return func(ctx context.Context, address, message string) error {
			_, rest, _ := strings.Cut(message, "Message-ID: ")
			id, _, _ := strings.Cut(rest, "\n")
			p := store.Put(holdstore.Submission{MessageID: id, Sender: holdstore.Path{Address: address},
				Recipients: []holdstore.Path{{Address: address}}}, []byte("Message-ID: "+id+"\r\n"))
			if _, err := p.Commit(ctx, holdstore.Terms{}); err != nil || !leaves {
				return err
			}
			_, err := store.Claim(ctx, 1)
			return err
		}
	}
	for name, c := range map[string]struct {
		submit func(context.Context, string, string) error
		want   string
	}{
		"held":    {hold(false), ""},
		"leaves":  {hold(true), "probe.sent"},
		"refused": {func(context.Context, string, string) error { return errors.New("550 5.1.1 no") }, "probe.refused"},
		"a login": {func(context.Context, string, string) error { return errLogin }, ""},
	} {
		s := siteOf(t, "")
		s.Store, s.Probe, s.Act = store, "probe@corp.test", holdstore.Actor{By: "test"}
		found := gathered(func(r report) { s.probe(context.Background(), entryPoint{name, c.submit}, r) })
		if got := strings.Join(checks(found), " "); got != c.want || len(found) != 1 {
			t.Errorf("%s: found %q, want %q: %+v", name, got, c.want, found)
		}
		fixed(t, found)
	}
}

func TestAPortForUsersWhoLogInIsNotTried(t *testing.T) {
	t.Parallel()
	for _, refusal := range []string{"MAIL|530 5.7.0 Authentication required",
		"RCPT|554 5.7.1 Client host rejected: Access denied"} {
		verb, answer, _ := strings.Cut(refusal, "|")
		sink := server.StartSink(t)
		sink.Answer(func(line string) string {
			switch {
			case strings.HasPrefix(line, "EHLO"):
				return "250-x\r\n250 AUTH PLAIN"
			case strings.HasPrefix(line, verb):
				return answer
			}
			return ""
		})
		if err := submit(context.Background(), sink.Addr, false, "a@corp.test", "x\n"); !errors.Is(err, errLogin) {
			t.Errorf("%s: %v", refusal, err)
		}
	}
}
