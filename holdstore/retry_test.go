package holdstore

import (
	"testing"
	"time"

	"github.com/recall-milter/recall-milter/test/server"
)

// Whoever knows what another will send can send it first. Both are held: what counts as tried again belongs to one who
// may recall it.
func TestNobodysMailIsTakenForAnothersRetry(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	for n, c := range []struct {
		first, again Submission // whose they are
		found        bool
	}{
		{Submission{Login: "anna"}, Submission{Login: "anna"}, true},
		{Submission{Login: "anna", Client: Client{Address: "192.0.2.1"}},
			Submission{Login: "anna", Client: Client{Address: "192.0.2.2"}}, true},
		{Submission{Client: Client{Address: "192.0.2.1", Port: 1}},
			Submission{Client: Client{Address: "192.0.2.1", Port: 2}}, true},
		{Submission{Client: Client{Address: "192.0.2.1"}}, Submission{Client: Client{Address: "192.0.2.2"}}, false},
		{Submission{Client: Client{Address: "192.0.2.1"}}, Submission{}, false},
		{Submission{Client: Client{Address: "192.0.2.1"}}, Submission{Login: "192.0.2.1"}, false},
		{Submission{Login: "anna"}, Submission{Login: "mallory"}, false},
		{Submission{Login: "anna"}, Submission{}, false},
	} {
		held := func(by Submission) Committed {
			by.Sender = Path{Address: "alerts@corp.test"}
			by.Recipients = []Path{{Address: "all@far.test"}}
			r, err := s.Put(by, []byte{'A' + byte(n)}).Commit(t.Context(), Terms{Grace: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		first, again := held(c.first), held(c.again)
		if again.Found != c.found || (again.ID == first.ID) != c.found {
			t.Errorf("%d: taken for the same: %v, want %v", n, again.Found, c.found)
		}
	}
}
