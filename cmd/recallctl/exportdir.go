package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/holdjson"
)

// exportTo writes each message that waits into a folder: ID.eml, which is what would be sent, and ID.json, which has
// the envelope. A file is there whole or not at all. Nothing in the store changes.
func (c *ctl) exportTo(ctx context.Context, f *filter, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	done, written, failed := map[string]bool{}, 0, 0
	one := func(h *holdstore.Hold) error {
		if done[h.ID] {
			return nil
		}
		done[h.ID] = true
		err := c.exportFiles(ctx, h, dir)
		var wrong *os.PathError
		switch {
		case errors.Is(err, holdstore.ErrUnavailable), errors.As(err, &wrong):
			return fmt.Errorf("%s written, then: %w", count(written), err)
		case err != nil:
			failed++
			c.failure(h.ID, fmt.Errorf("not written, it stays held: %s", holdstore.Reason(err)))
		default:
			written++
		}
		return nil
	}
	err := c.find(ctx, f, false, one, waiting...)
	for before := 0; err == nil && before < len(done); { // what a daemon claims and gives back meanwhile may be missed
		before = len(done)
		if err = c.find(ctx, f, true, one, waiting...); isNothing(err) {
			err = nil
		}
	}
	switch {
	case isNothing(err) && f.everything():
		c.say("nothing is held")
		return nil
	case err != nil:
		return err
	case failed > 0:
		return &exit{exitTooLate, fmt.Sprintf("%s written to %s, %d not", count(written), dir, failed)}
	}
	c.say("%s written to %s", count(written), dir)
	return nil
}

func (c *ctl) exportFiles(ctx context.Context, h *holdstore.Hold, dir string) error {
	content := c.store.Content(ctx, h)
	if err := whole(filepath.Join(dir, h.ID+".eml"),
		func(w io.Writer) error { _, err := io.Copy(w, content); return err }); err != nil {
		return err
	}
	return whole(filepath.Join(dir, h.ID+".json"), func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		return e.Encode(holdjson.Of(h, c.reason(h)))
	})
}

// whole writes a file under its name when all of it is on the disk.
func whole(name string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".part-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
