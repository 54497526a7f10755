package postfix

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Undone says what Undo did, and what it left.
type Undone struct {
	Setups   int      // how many were taken back; 0: there was none
	Nothing  bool     // nothing was changed
	AsBefore bool     // main.cf and master.cf are byte for byte what they were before the first setup
	Kept     bool     // the re-injection port is still there: a second Undo takes it out
	Stripped []string // lists that still named the milter without the setups: it is out of them too
	Bypassed bool     // the milter was out already by a bypass, which has ended: Resume does not put it back
	Stays    []string // what somebody has changed since a setup wrote it: it is as somebody left it
}

// Undo takes all setups back: their lines, and nothing else, whatever was edited since. The milter, which listens at
// the endpoints, is in no list any more then, however it came there. With port, the services that setups added, and the
// one that listens there, stay until a second Undo: held mail has no other way back.
func Undo(ctx context.Context, dir string, endpoints []Endpoint, port *Endpoint) (u Undone, err error) {
	now, err := readTexts(dir, "")
	if err != nil {
		return u, err
	}
	ours, err := ourMilter(ctx, dir, endpoints)
	if err != nil {
		return u, err
	}
	all := stamps(dir, setupCopy)
	bare, stays, err := revertAll(dir, setupCopy, now, nil)
	if err != nil {
		return u, err
	}
	u = Undone{Setups: len(all), Stays: stays, Stripped: bare.strip(ours)}
	target := bare
	if port != nil {
		if target, err = ours.keeping(dir, now, *port); err != nil {
			return u, err
		}
		u.Kept = !maps.Equal(target, bare)
	}
	u.Nothing = maps.Equal(target, now)
	if u.Setups > 0 {
		first, err := readTexts(dir, before+setupCopy+all[len(all)-1])
		u.AsBefore = err == nil && maps.Equal(target, first)
	}
	if err := target.write(ctx, dir, now); err != nil {
		return u, err
	}
	if u.Kept {
		err = remember(dir, bare, target)
	}
	for _, stamp := range all {
		forget(dir, setupCopy, stamp)
	}
	for _, stamp := range stamps(dir, bypassCopy) {
		u.Bypassed = true
		forget(dir, bypassCopy, stamp)
	}
	return u, err
}

// keeping is what Undo leaves when the port, and what was added for it, stay.
func (o *ours) keeping(dir string, now texts, port Endpoint) (texts, error) {
	stay := map[string]bool{}
	if s := o.config.At(port); s != nil {
		stay[s.String()] = true
	}
	for _, stamp := range stamps(dir, setupCopy) {
		was, err := readTexts(dir, before+setupCopy+stamp)
		made, wrong := readTexts(dir, after+setupCopy+stamp)
		if err := errors.Join(err, wrong); err != nil {
			return nil, err
		}
		for _, name := range files {
			there := readCF(name, was[name]).keys()
			for _, key := range readCF(name, made[name]).keys() {
				ours := name == "master.cf" || strings.HasPrefix(key, "recall_") // the tables of a port that stays, too
				stay[key] = stay[key] || ours && !slices.Contains(there, key)
			}
		}
	}
	target, _, err := revertAll(dir, setupCopy, now, func(key string) bool { return stay[key] })
	if err == nil {
		target.strip(o)
	}
	return target, err
}

// revertAll reverts all changes of a kind, newest first.
func revertAll(dir, kind string, now texts, keep func(key string) bool) (all texts, stays []string, err error) {
	all = maps.Clone(now)
	for _, stamp := range stamps(dir, kind) {
		was, err := readTexts(dir, before+kind+stamp)
		made, wrong := readTexts(dir, after+kind+stamp)
		if err = errors.Join(err, wrong); err != nil {
			return nil, nil, fmt.Errorf("nothing was changed, because a copy of the files is missing: %w", err)
		}
		for _, name := range files {
			text, left := revert(name, was[name], made[name], all[name], keep)
			all[name] = text
			for _, l := range left {
				stays = append(stays, name+": "+l)
			}
		}
	}
	return all, stays, nil
}

// remember makes copies by which a second Undo takes out what this one kept.
func remember(dir string, bare, kept texts) error {
	stamp := newStamp()
	if err := bare.copyTo(dir, before+setupCopy+stamp); err != nil {
		return err
	}
	return kept.copyTo(dir, after+setupCopy+stamp)
}
