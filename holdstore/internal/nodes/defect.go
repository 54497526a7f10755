package nodes

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// ErrDefect means that a panic ended what was asked of the store. Like a reply that never came, it leaves open what was
// done.
var ErrDefect = errors.New("a defect of recall-milter, please report it")

// OnDefect sets what is told of each panic that the store survives: what it ended, and the stack. Call it before the
// store is used.
func (ns *Nodes) OnDefect(tell func(what string, v any, stack []byte)) { ns.defects = tell }

// Guard runs f. It reports a panic in f and returns it as an ErrDefect: a panic costs what f does, never the process.
func (ns *Nodes) Guard(what string, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", ErrDefect, v)
			if ns.defects != nil {
				ns.defects(what, v, debug.Stack())
			}
		}
	}()
	return f()
}
