package command

import (
	"strings"

	"github.com/recall-milter/recall-milter/internal/lazyregexp"
	"github.com/recall-milter/recall-milter/policy"
)

// Verb is what a command asks for.
type Verb string

// What a command can ask for. The zero value of a target's verb is Recall.
const (
	Recall  Verb = ""
	SendNow Verb = "SEND NOW"
	Wait    Verb = "WAIT"
	Restore Verb = "RESTORE"
)

const (
	unclearVerb = "the subject of an answer or a forwarded mail might be that of the message itself. Write SEND NOW, " +
		"WAIT 10m or RESTORE, and the message's number behind it"
	unclearWait = "the time after WAIT can't be read. Write WAIT 10m and the message's number"
	unclearAll  = "only RECALL can be for some recipients. SEND NOW, WAIT and RESTORE are for all of them"
)

var verbForm = lazyregexp.New(`(?i)^(send now|restore|wait)(?: +((?:[0-9.]+[smhd])+))?(?:[\s\pP](.*))?$`)

// readVerb reads a subject that asks for something else than a recall. answers: there were reply words before it, so
// that it might be the subject of the message that is meant. Nothing is sent on account of such a one.
func readVerb(subject string, answers bool) (t Target, ok bool) {
	m := verbForm.FindStringSubmatch(subject)
	if m == nil {
		return t, false
	}
	t.Verb, t.For = Verb(strings.ToUpper(m[1])), m[2]
	behind := strings.TrimLeft(m[3], " :")
	if t.Verb != Wait && t.For != "" {
		behind, t.For = t.For+" "+behind, ""
	}
	if named, ok := cutFold(behind, "message-id"); ok {
		behind = strings.TrimLeft(named, " :")
	}
	list, only := policy.CutOnly(behind)
	ref, rest := cutRef(behind)
	rest = strings.TrimLeft(rest, " .,;:!-")
	if _, more := policy.CutOnly(rest); only || more {
		t.Unclear = unclearAll
		return t, list != "" || !answers || ref != ""
	}
	switch bare := ref == "" && rest == ""; {
	case rest != "" && answers, t.Verb == Wait && t.For == "" && answers:
		return Target{}, false
	case t.Verb == Wait && t.For == "":
		t.Unclear = unclearWait
	case rest != "":
		t.Unclear = unclearSubject
	case bare && answers:
		t.Unclear = unclearVerb
	case strings.EqualFold(ref, "last"):
		t.Last = true
	case !bare:
		t.Refs = []string{ref}
	}
	return t, true
}
