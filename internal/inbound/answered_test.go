package inbound

import "testing"

// oneAnswer checks that a command has exactly one answer: a reply that refuses it, or one verdict on top of it. The
// sender of a command that was carried out gets a status from the retractor as well, and nobody gets the command.
func oneAnswer(t *testing.T, command string, r Disposition) {
	t.Helper()
	verdicts := 0
	for _, f := range r.Add {
		if f.Is("X-Recall-Policy") {
			verdicts++
		}
	}
	if r.Reply != "" {
		verdicts++
	}
	if verdicts != 1 || !r.Command {
		t.Errorf("%s: not one answer: %+v", command, r)
	}
}
