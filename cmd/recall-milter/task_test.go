package main

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/monitor"
	"github.com/recall-milter/recall-milter/internal/wiring"
)

func TestATaskBeginsAnewAfterAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		lines, err := wiring.Log(config.Log{Level: "info", Format: "text"}, &out)
		if err != nil {
			t.Fatal(err)
		}
		runs := 0
		task(t.Context(), monitor.New(lines, nil, "1"), "the task", func(context.Context) {
			if runs++; runs < 3 {
				panic("a defect")
			}
		})
		if runs != 3 || strings.Count(out.String(),
			"a defect ended the task, please report it: a defect; goroutine ") != 2 || strings.Count(out.String(), "\n") != 2 {
			t.Errorf("%d runs: %s", runs, out.String())
		}
	})
}
