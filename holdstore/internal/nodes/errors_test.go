package nodes

import (
	"errors"
	"fmt"
	"testing"
)

// What a transaction was discarded for is known by the words that Redis has for it, also when only EXEC says it.
func TestTheReasonOfADiscardedTransaction(t *testing.T) {
	t.Parallel()
	const full, earlier = "OOM command not allowed", "EXECABORT Transaction discarded because of previous errors."
	for said, want := range map[string]string{discarded + full: full, full: full, earlier: earlier} {
		if got := discardedFor(refusal(said)); got.Error() != want {
			t.Errorf("%s: %v", said, got)
		}
	}
	if !Refused(discardedFor(refusal(discarded + "MISCONF no disk"))) {
		t.Error("what was discarded is not called refused")
	}
	if other := errors.New(discarded + "OOM"); !errors.Is(discardedFor(fmt.Errorf("x: %w", other)), other) {
		t.Error("an error that Redis did not send was changed")
	}
}
