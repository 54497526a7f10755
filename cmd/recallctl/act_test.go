package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/recall-milter/recall-milter/holdstore"
)

func TestAnInterruptedActSaysHowFarItCame(t *testing.T) {
	var out, words bytes.Buffer
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	a := &act{ctl: &ctl{screen: newScreen(&out, &words)}, name: "recall"}
	err := a.each(ctx, []*holdstore.Hold{{ID: "2222222222222"}, {ID: "3333333333333"}})
	if err == nil || !strings.Contains(err.Error(), "0 of 2 messages recalled") || strings.Contains(words.String(), "recalled 2") {
		t.Errorf("%v\n%s", err, words.String())
	}
}
