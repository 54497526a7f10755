package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/file"
	"github.com/recall-milter/recall-milter/internal/hint"
	"github.com/recall-milter/recall-milter/internal/wiring"
)

// keyLine is a seal key in JSON.
type keyLine struct {
	Key   string `json:"key"` // its ID
	Use   string `json:"use"` // seals, opens, missing, or none: of messages that are not sealed
	Holds int    `json:"holds"`
}

func (c *ctl) key() *cobra.Command {
	cmd := &cobra.Command{Use: "key", Args: needsVerb, RunE: nothing}
	cmd.AddCommand(
		&cobra.Command{Use: "new FILE", Args: oneFile,
			RunE: func(_ *cobra.Command, args []string) error { return c.newKey(args[0]) }},
		&cobra.Command{Use: "rotate", Args: c.noREF,
			RunE: func(*cobra.Command, []string) error { return c.rotateKey() }},
		&cobra.Command{Use: "status", Args: c.noREF, RunE: c.onStore(c.keyStatus)})
	return cmd
}

func oneFile(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage("name the file for the key, like /etc/recall-milter/seal.keys")
	}
	return nil
}

func freshKey() (key []byte, line string) {
	key = make([]byte, 32)
	rand.Read(key)
	return key, base64.StdEncoding.EncodeToString(key) + "\n"
}

func (c *ctl) newKey(name string) error {
	key, line := freshKey()
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if errors.Is(err, fs.ErrExist) {
		return usage("%s is there already: when seal.key_file names it, %s adds a key to it", name,
			c.command("key rotate"))
	}
	if err != nil {
		return fmt.Errorf("no key was made: %w", err)
	}
	defer f.Close()
	if _, err := f.WriteString(line); err != nil {
		return fmt.Errorf("no key was made: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("no key was made: %w", err)
	}
	c.say("key %s is in %s. Keep a copy apart from the store: a lost key is lost mail", holdstore.KeyID(key), name)
	c.say("next, so that no message is left behind: %s lets leave what is held now, which a daemon with the key "+
		"refuses to send; let the daemon read the file (chgrp recall-milter %s), name it in seal.key_file, and restart "+
		"the daemon", c.command("drain"), hint.Quoted(name))
	return nil
}

// rotateKey replaces the file in one step, with its owner and mode: no reader ever sees half of it.
func (c *ctl) rotateKey() error {
	if err := c.load(); err != nil {
		return err
	}
	name := c.config.Seal.KeyFile
	if name == "" {
		return usage("seal.key_file is not set: make a key with %s, and name it there", c.command("key new FILE"))
	}
	if _, err := wiring.SealKeys(name); err != nil {
		return asConfig(err)
	}
	old, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	key, line := freshKey()
	if err := file.Write(name, append([]byte(line), old...), name); err != nil {
		return fmt.Errorf("the keys are as before: %w", err)
	}
	c.say("key %s seals when the daemon is reloaded (systemctl reload recall-milter); bring the file to all gateways "+
		"of this store, and reload all of them", holdstore.KeyID(key))
	return nil
}

func (c *ctl) keyStatus(ctx context.Context, _ []string) error {
	keys, err := wiring.SealKeys(c.config.Seal.KeyFile)
	if err != nil {
		return asConfig(err)
	}
	bar := c.progress(0)
	count, err := c.store.SealUsage(ctx, bar.of)
	bar.done()
	if err != nil {
		return err
	}
	lines := keyLines(keys, count)
	missing := 0
	var rows [][]string
	for _, l := range lines {
		if l.Use == "missing" {
			missing += l.Holds
		}
		if c.json {
			c.encode(l)
		}
		rows = append(rows, []string{l.Key, l.Use, fmt.Sprint(l.Holds)})
	}
	if !c.json {
		c.table([]string{"KEY", "USE", "MESSAGES"}, rows)
	}
	if missing > 0 {
		return &exit{exitNotAllowed,
			fmt.Sprintf("%d of the messages can't be opened: put their keys back into seal.key_file", missing)}
	}
	return nil
}

// keyLines are the keys of the file in order, then those that only the store knows.
func keyLines(keys [][]byte, count map[string]int) []keyLine {
	var lines []keyLine
	for n, key := range keys {
		use := "opens"
		if n == 0 {
			use = "seals"
		}
		id := holdstore.KeyID(key)
		lines = append(lines, keyLine{id, use, count[id]})
		delete(count, id)
	}
	ids := make([]string, 0, len(count))
	for id := range count {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		if id == "" {
			lines = append(lines, keyLine{"-", "none", count[id]})
		} else {
			lines = append(lines, keyLine{id, "missing", count[id]})
		}
	}
	return lines
}
