package command

import (
	"strings"
	"testing"
)

func TestWhatASubjectAsksFor(t *testing.T) {
	t.Parallel()
	const id = "3F7KPRQ2M9ABC"
	for _, e := range []struct {
		subject string
		verb    Verb
		wait    string
		ref     string // "LAST", a name, or "?" when it is unclear
	}{
		{"SEND NOW " + id, SendNow, "", id}, {"send now: " + id, SendNow, "", id}, {"Send now", SendNow, "", ""},
		{"SEND NOW!", SendNow, "", ""}, {"SEND NOW LAST", SendNow, "", "LAST"},
		{"SEND NOW 1234567890", SendNow, "", "1234567890"},
		{"SEND NOW Message-ID: <a@b.test>", SendNow, "", "<a@b.test>"}, {"Re: send now " + id, SendNow, "", id},
		{"[EXT] AW: SEND NOW " + id, SendNow, "", id},
		{"WAIT 10m " + id, Wait, "10m", id}, {"wait 1h30m last", Wait, "1h30m", "LAST"}, {"Wait 10m", Wait, "10m", ""},
		{"RESTORE " + id, Restore, "", id}, {"restore.", Restore, "", ""},
		// nothing is sent on account of a subject that might be that of the message, or of words that nobody reads
		{"Re: send now", SendNow, "", "?"}, {"Fwd: Send now", SendNow, "", "?"}, {"Fwd: restore", Restore, "", "?"},
		{"SEND NOW please, " + id, SendNow, "", "?"}, {"SEND NOW " + id + " and the other", SendNow, "", "?"},
		{"WAIT " + id, Wait, "", "?"}, {"wait for me", Wait, "", "?"}, {"RESTORE " + id + " ONLY b@x.test", Restore, "", "?"},
		{"SEND NOW ONLY b@x.test", SendNow, "", "?"},
		{"Fwd: Send now: the report", Recall, "", ""}, {"Re: Wait for me", Recall, "", ""}, {"Re: restored", Recall, "", ""},
		{"Sending now", Recall, "", ""}, {"RECALL " + id, Recall, "", id}, {"recall send now", Recall, "", ""},
	} {
		got := Read(arriving("Subject: "+e.subject+"\r\n\r\nplease\r\n"), []string{"recall@corp.test"})
		ref := strings.Join(got.Refs, " ")
		switch {
		case got.Unclear != "":
			ref = "?"
		case got.Last:
			ref = "LAST"
		}
		if got.Verb != e.verb || got.For != e.wait || !strings.EqualFold(ref, e.ref) || got.Only != nil {
			t.Errorf("%s: %+v", e.subject, got)
		}
	}
}

// What is for some recipients only is done for none: only a recall can be.
func TestOnlyARecallIsForSome(t *testing.T) {
	t.Parallel()
	for _, subject := range []string{"SEND NOW 3F7KPRQ2M9ABC", "WAIT 10m LAST", "RESTORE 3F7KPRQ2M9ABC"} {
		if got := Read(arriving("Subject: "+subject+"\r\n\r\nONLY b@x.test\r\n"),
			[]string{"recall@corp.test"}); got.Unclear == "" || got.Only != nil {
			t.Errorf("%s: %+v", subject, got)
		}
	}
}
