package holdstore

import (
	"slices"
	"testing"

	"github.com/recall-milter/recall-milter/test/server"
)

func TestPasswordsThatOurLoginMayReadAreNamed(t *testing.T) {
	r := server.StartRedis(t)
	s := open(t, r.Addr)
	gives := func() []string {
		all, err := s.Health(t.Context())
		if err != nil || len(all) != 1 {
			t.Fatalf("%v %v", all, err)
		}
		return all[0].GivesAway
	}
	if got := gives(); got != nil {
		t.Errorf("without any: %q", got)
	}
	for _, name := range []string{"masterauth", "tls-key-file-pass"} {
		if err := s.nodes.Client.ConfigSet(t.Context(), name, "secret").Err(); err != nil && name == "masterauth" {
			t.Fatal(err)
		}
	}
	if got := gives(); !slices.Contains(got, "masterauth") {
		t.Errorf("with masterauth: %q", got)
	}
}
