package holdstore

import (
	"bytes"
	"slices"
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

// A large message is known again by a digest to which white space is all the same. Two that differ in nothing else are
// two messages.
func TestALargeMessageIsTriedAgainOnlyByteForByte(t *testing.T) {
	s := open(t, server.StartRedis(t).Addr)
	held := func(body []byte) Committed {
		t.Helper()
		p := s.Put(Submission{Login: "anna"}, []byte("Subject: x\r\n"))
		for piece := range slices.Chunk(body, 65535) {
			if err := p.Write(t.Context(), piece); err != nil {
				t.Fatal(err)
			}
		}
		r, err := p.Commit(t.Context(), Terms{Grace: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, size := range []int{wholeMost - 100, wholeMost + 100, 2*chunkSize + 100} {
		body := bytes.Repeat([]byte("a b\r\n"), size/5)
		first := held(body)
		if again := held(body); !again.Found || again.ID != first.ID {
			t.Errorf("%d bytes: the same message is held twice", size)
		}
		for at, name := range map[int]string{len(body) / 2 / 5 * 5: "in the middle", len(body) - 5: "at the end"} {
			other := slices.Clone(body)
			copy(other[at:], "ab \r\n")
			if r := held(other); r.Found {
				t.Errorf("%d bytes, another blank %s: taken for a retry", size, name)
			}
		}
	}
}
