package web

import "github.com/recall-milter/recall-milter/holdstore"

// mayUndo says whether somebody may undo the recall of a message: an operator may have stopped it for a reason that
// its sender doesn't know. The store decides again.
func (c *caller) mayUndo(h *holdstore.Hold) bool { return c.Operator || !h.Stopped }
