package milter

import (
	"maps"
	"runtime/debug"
	"sync"

	"github.com/recall-milter/recall-milter/policy"
)

// mostForeseen is for how many recipients of a message the memory of correspondents is asked early. Mail to more is
// rare; the others are asked about together, at the end of the header.
const mostForeseen = 20

// foreseen are questions to the memory of correspondents that are asked as soon as a recipient is known. The answers
// come while the client sends its message, so that nobody waits for them at the end of the header. An early question
// without an answer counts for nothing: it is asked again.
type foreseen struct {
	mu      sync.Mutex
	waiting []policy.Question // for those that are on their way
	answers map[policy.Question]policy.Answer
	done    chan struct{} // closed when none is on its way any more; nil: none is
}

// foresee begins to ask what the policy will probably want to know of a recipient. Never waits.
func (s *session) foresee(to string) {
	m := &s.msg
	if !m.foresees || m.arrival != nil || len(m.sub.Recipients) > mostForeseen {
		return
	}
	facts := s.facts(policy.AtMail)
	facts.Recipients = []string{to}
	questions := s.server.Policy().Foresee(facts)
	if len(questions) == 0 {
		return
	}
	if m.foreseen == nil {
		m.foreseen = &foreseen{answers: map[policy.Question]policy.Answer{}}
	}
	f := m.foreseen
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting = append(f.waiting, questions...)
	if f.done == nil && s.asking.TryLock() { // not while the store lets an earlier message wait
		f.done = make(chan struct{})
		s.early.Go(func() { f.ask(s) })
	}
}

// ask asks until nothing waits any more, or an answer is missing.
func (f *foreseen) ask(s *session) {
	defer func() {
		if v := recover(); v != nil {
			s.server.Log.Panicked("an early question about correspondents", v, debug.Stack())
			f.next(s, false)
		}
	}()
	for questions := f.next(s, true); len(questions) > 0; {
		answers := s.server.Ask(s.ctx, questions)
		whole := true
		f.mu.Lock()
		for _, q := range questions {
			f.answers[q] = answers[q]
			whole = whole && answers[q].Known
		}
		f.mu.Unlock()
		questions = f.next(s, whole)
	}
}

// next returns what is to be asked next; nothing, also without more: asking is over.
func (f *foreseen) next(s *session, more bool) (questions []policy.Question) {
	f.mu.Lock()
	defer f.mu.Unlock()
	questions, f.waiting = f.waiting, nil
	if more && len(questions) > 0 {
		return questions
	}
	s.asking.Unlock()
	close(f.done)
	f.done = nil
	return nil
}

// end waits for what is on its way, and returns the answers.
func (f *foreseen) end() map[policy.Question]policy.Answer {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	done := f.done
	f.mu.Unlock()
	if done != nil {
		<-done
	}
	return f.answers
}

// answer returns the answers to questions; those that are not known from early on are asked now.
func (s *session) answer(questions []policy.Question) map[policy.Question]policy.Answer {
	early, answers := s.msg.foreseen.end(), map[policy.Question]policy.Answer{}
	var open []policy.Question
	for _, q := range questions {
		if a := early[q]; a.Known {
			answers[q] = a
		} else {
			open = append(open, q)
		}
	}
	if len(open) > 0 {
		maps.Copy(answers, s.server.Ask(s.ctx, open))
	}
	return answers
}
