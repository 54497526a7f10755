package server

import (
	"strings"
	"sync"
)

// Output is what a program writes, such as its log, read by a test while more comes.
type Output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// String is what was written so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Has says whether a text was written.
func (o *Output) Has(text string) bool { return strings.Contains(o.String(), text) }

// Count says how often a text was written.
func (o *Output) Count(text string) int { return strings.Count(o.String(), text) }
