package doctor

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
)

// guarded runs the checks of a family. A panic in them is a finding like any other: what they found before stays, and
// the other families go on.
func guarded(r report, checks func()) {
	defer func() {
		if v := recover(); v != nil {
			r.warn("config.defect", byHand+"nothing on this gateway is to be changed: report the text of this finding",
				"a defect of recallctl ended some checks, so what they would have found is unknown: %v, at %s", v, where())
		}
	}()
	checks()
}

// maxFrames bounds the places of a stack that a finding names.
const maxFrames = 6

// where names the innermost calls of a panic, in the function that is deferred.
func where() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)]) // without Callers, where and the deferred function
	var places []string
	for more := true; more && len(places) < maxFrames; {
		var f runtime.Frame
		if f, more = frames.Next(); f.File != "" && !strings.HasPrefix(f.Function, "runtime.") {
			places = append(places, fmt.Sprintf("%s:%d", filepath.Base(f.File), f.Line))
		}
	}
	return strings.Join(places, " < ")
}
