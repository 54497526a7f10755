package main

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/recall-milter/recall-milter/internal/monitor"
)

// taskPause is waited before a task that ended in a panic begins anew.
const taskPause = time.Second

// task runs f, and again after a panic until ctx ends: a defect in one of the daemon's tasks stops no other, and no
// mail.
func task(ctx context.Context, log *monitor.Metrics, name string, f func(context.Context)) {
	for !returns(ctx, log, name, f) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(taskPause):
		}
	}
}

// returns runs f once, and says whether it came back; a panic is logged and counted.
func returns(ctx context.Context, log *monitor.Metrics, name string, f func(context.Context)) (returned bool) {
	defer func() {
		if v := recover(); v != nil {
			log.Panicked(name, v, debug.Stack())
		}
	}()
	f(ctx)
	return true
}
