package nodes

import (
	"errors"
	"fmt"
	"testing"
)

func TestWhatIsWrongWithServersIsOneLine(t *testing.T) {
	dead, hangs := Explain(errors.New("dial tcp 127.0.0.1:2: connection refused")), Explain(errors.New("127.0.0.1:1: "+
		"i/o timeout"))
	lax := fmt.Errorf("%w: redis at 127.0.0.1:3 has appendfsync", ErrNotDurable)
	for _, c := range []struct {
		some  bool
		all   []error
		words string
	}{
		{true, []error{dead}, "part of the store is not reachable: dial tcp 127.0.0.1:2: connection refused"},
		{true, []error{dead, hangs, dead},
			"part of the store is not reachable: 127.0.0.1:1: i/o timeout; dial tcp 127.0.0.1:2: connection refused"},
		{false, []error{hangs}, "store not reachable: 127.0.0.1:1: i/o timeout"},
		{true, []error{lax}, "store could lose mail: redis at 127.0.0.1:3 has appendfsync"},
		{true, []error{lax, hangs}, "part of the store is not reachable: 127.0.0.1:1: i/o timeout; store could lose mail: " +
			"redis at 127.0.0.1:3 has appendfsync"},
	} {
		f := &Failures{Some: c.some}
		for _, err := range c.all {
			f.Add(err)
		}
		err := f.Err()
		if err.Error() != c.words || errors.Is(err, ErrPartial) != c.some {
			t.Errorf("some are well: %v, %q: %q, partial: %v", c.some, c.all, err, errors.Is(err, ErrPartial))
		}
		for _, one := range c.all {
			if !errors.Is(err, one) {
				t.Errorf("%q is not %q", err, one)
			}
		}
	}
	if (&Failures{Some: true}).Err() != nil || Explain(Explain(hangs)).Error() != hangs.Error() {
		t.Error("nothing is wrong, or it is said twice")
	}
}
