package web

import "sync"

// shares counts what each of many has at a time of something that is there for all. Safe for concurrent use.
type shares struct {
	most int // of all; 0: any number
	each int

	mu  sync.Mutex
	all int
	of  map[string]int
}

// enter says whether somebody may have one more; leave must be called at its end.
func (s *shares) enter(name string) (leave func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[string]int{}
	}
	if s.most > 0 && s.all >= s.most || s.of[name] >= s.each {
		return nil, false
	}
	s.all++
	s.of[name]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all--
		if s.of[name]--; s.of[name] == 0 {
			delete(s.of, name)
		}
	}, true
}
