package holdstore

import (
	"errors"
	"testing"

	"github.com/recall-milter/recall-milter/holdstore/internal/nodes"
)

// A batch that overtakes confirmations takes them along.
func TestConfirmationsThatAreOvertaken(t *testing.T) {
	c := confirmations{of: map[nodes.Shard][]confirmation{}, away: map[nodes.Shard][]confirmation{},
		bell: make(chan struct{}, 1)}
	one, two := confirmation{"1", "p1"}, confirmation{"2", "p2"}
	c.add("at", []confirmation{one})
	_, first := c.take("at", 9)
	c.add("at", []confirmation{two})
	all, second := c.take("at", 9)
	if len(first) != 1 || len(second) != 1 || second[0] != two || len(all) != 2 || all[0] != one {
		t.Fatalf("%v, then %v of %v", first, second, all)
	}
	c.back("at", first, errors.New("no reply"))
	c.back("at", second, nil)
	if all, fresh := c.take("at", 9); len(all) != 1 || len(fresh) != 1 || fresh[0] != one {
		t.Errorf("after a failure %v wait, %v are fresh", all, fresh)
	}
}
