package recall

import (
	"sync/atomic"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/post"
)

// answers counts, in every test of the desk, what commands there were and what was answered: each command of one of our
// own people has exactly one answer, whatever becomes of it.
type answers struct {
	post.Store
	due, written atomic.Int32
	failed       atomic.Bool // the store could not do something: the client tries again, and may be answered twice
}

func (a *answers) Put(sub holdstore.Submission, header []byte) *holdstore.Put {
	a.written.Add(1)
	return a.Store.Put(sub, header)
}

// counted has a desk's answers counted.
func (o *office) counted() {
	o.answers = &answers{Store: o.store}
	o.Desk.post = post.New(o.answers, o.o.Texts, o.o.Addresses...)
	if o.o.Notice != "never" {
		return
	}
	o.t.Cleanup(func() {
		if due, written := o.answers.due.Load(), o.answers.written.Load(); due != written && !o.answers.failed.Load() {
			o.t.Errorf("%d commands have %d answers: %q", due, written, o.log)
		}
	})
}

// noteDue notes a command that needs an answer. What is automatic has a reply while sending, or is ordinary mail; what
// is beyond the rate has a reply.
func (o *office) noteDue(sub *holdstore.Submission, form, outcome string) {
	if o.answers != nil && outcome != "ignored" && form != "any" && (form == "address" || o.o.People.Has(sub)) {
		o.answers.due.Add(1)
	}
}
