package outage

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// journal is a log that is read.
type journal []string

func (j *journal) Trouble(msg string, err error) { *j = append(*j, fmt.Sprintf("%s: %v", msg, err)) }

func (j *journal) Recovered(msg string, lasted time.Duration) {
	*j = append(*j, fmt.Sprintf("%s after %v", msg, lasted))
}

// Three ask at a time, and one of them still hangs when another has its answer: the log has one line for each end.
func TestAnOutageHasTwoLines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var o Outage
		var said journal
		begun, failed := time.Now(), errors.New("refused")
		note := func(asked time.Duration, err error) {
			o.Note(&said, begun.Add(asked), err, "it is away", "it works")
		}
		note(0, nil)
		time.Sleep(10 * time.Second)
		for range 3 {
			note(9*time.Second, failed)
		}
		note(8*time.Second, nil) // answered just before it went away
		time.Sleep(10 * time.Second)
		note(19*time.Second, nil)
		note(12*time.Second, failed) // hung
		note(20*time.Second, nil)
		if want := []string{"it is away: refused", "it works after 11s"}; !slices.Equal(said, want) {
			t.Errorf("%q", said)
		}
		time.Sleep(time.Second)
		note(21*time.Second, failed)
		if len(said) != 3 {
			t.Errorf("gone again: %q", said)
		}
	})
}
