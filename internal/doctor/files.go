package doctor

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/recall-milter/recall-milter/internal/hint"
	"github.com/recall-milter/recall-milter/internal/wiring"
)

const configKey = "the config"

// files looks who can read and write what must be secret.
func files(_ context.Context, s *Site, r report) {
	found := 0
	counted := report(func(f Finding) { found++; r(f) })
	who := account(s.User)
	for _, f := range []struct{ key, path string }{
		{configKey, s.File},
		{"secret_file", s.Config.SecretFile},
		{"seal.key_file", s.Config.Seal.KeyFile},
		{"redis.password_file", s.Config.Redis.PasswordFile},
	} {
		if f.path != "" {
			look(f.key, f.path, who, counted)
		}
	}
	secrets := s.Config.Inbound.Mailbox.MailSecrets()
	for _, key := range slices.Sorted(maps.Keys(secrets)) {
		look(key, secrets[key], who, counted)
	}
	for _, name := range s.Config.FileNames() {
		look("@"+name, s.Config.Lists.Path(name), who, counted)
	}
	s.contents(counted)
	if found == 0 {
		r.fine("files", "config, keys and passwords are readable by their owners only")
	}
}

// contents looks whether keys and secret are what the daemon can use.
func (s *Site) contents(r report) {
	for _, f := range []struct {
		path string
		read func(string) error
		fix  string
	}{
		{s.Config.Seal.KeyFile, func(p string) error { _, err := wiring.SealKeys(p); return err }, byHand +
			"only a backup or another gateway of this store has the right keys: put the file back (a new one opens nothing " +
			"that is held)"},
		{s.Config.SecretFile, func(p string) error { _, err := wiring.Secret(p); return err }, byHand +
			"all gateways of this store need the same secret: copy the file from another one, or from a backup"},
	} {
		info, err := os.Stat(f.path)
		if err != nil || info.Mode().Perm()&0o007 != 0 {
			continue // said already
		}
		if err := f.read(f.path); err != nil && !errors.Is(err, fs.ErrPermission) {
			r.bad("files.content", f.fix, "the daemon does not start: %s", words(err))
		}
	}
}

func look(key, path string, who *identity, r report) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.bad("files.missing", byHand+"only a backup or another gateway of this store has it: put "+path+" back",
			"%s: %s is not there: the daemon does not start, and what needs it can't be opened", key, path)
		return
	case err != nil:
		r.warn("files.unchecked", asRoot, "%s: %s", key, words(err))
		return
	}
	if !info.Mode().IsRegular() {
		return // /dev/null, where the environment says all
	}
	mode, owner := info.Mode().Perm(), info.Sys().(*syscall.Stat_t)
	switch {
	case mode&0o022 != 0:
		r.bad("files.writable", "chmod 0640 "+hint.Quoted(path),
			"%s: %s can be written by more than its owner (mode %04o)", key,
			path, mode)
	case mode&0o007 != 0 && key == configKey:
		r.warn("files.open", "chmod 0640 "+hint.Quoted(path),
			"%s: %s can be read by everybody (mode %04o): rules and addresses are in it", key, path, mode)
	case mode&0o007 != 0 && !strings.HasPrefix(key, "@"):
		r.bad("files.open", "chmod 0640 "+hint.Quoted(path),
			"%s: %s can be read by everybody (mode %04o)", key, path, mode)
	case who != nil && owner.Uid != 0 && int(owner.Uid) != who.uid && int(owner.Uid) != os.Getuid():
		r.warn("files.owner", "chown root "+hint.Quoted(path),
			"%s: %s belongs to the user %d, who is neither root nor %s", key,
			path, owner.Uid, who.name)
	}
	if dir := replaceable(path, who); dir != "" {
		r.bad("files.folder", "chown root "+hint.Quoted(dir)+" && chmod go-w "+hint.Quoted(dir),
			"%s: %s can be replaced by others, who can write to %s", key, path, dir)
	}
	// systemd gives those to the daemon by a list of rights
	if who == nil || strings.HasPrefix(path, "/run/credentials/") {
		return
	}
	if at := who.barrier(path, 0o4); at != "" {
		fix := "chgrp " + who.group + " " + hint.Quoted(at) + " && chmod g+r " + hint.Quoted(at)
		if at != path {
			fix = "chmod o+x " + hint.Quoted(at)
		}
		r.bad("files.daemon", fix, "%s: %s can't be read by the daemon's user %s, whom %s stops: it does not start", key,
			path, who.name, at)
	}
}

// replaceable returns a folder above a file, or above what a symbolic link leads to, in which others can put something
// else in its place; "" when there is none. In a folder with the sticky bit, such as /tmp, others can't.
func replaceable(path string, who *identity) string {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		real = path
	}
	for _, p := range []string{path, real} {
		for dir := filepath.Dir(p); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
			info, err := os.Stat(dir)
			if err != nil {
				continue
			}
			uid := int(info.Sys().(*syscall.Stat_t).Uid)
			known := uid == 0 || uid == os.Getuid() || who != nil && uid == who.uid
			if !known || info.Mode()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 {
				return dir
			}
		}
	}
	return ""
}

// identity is whom a server runs as.
type identity struct {
	name  string
	group string // its own
	uid   int
	gids  []int
}

// account looks a user up; nil: there is none of that name here.
func account(name string) *identity {
	u, err := user.Lookup(name)
	if err != nil {
		return nil
	}
	id := &identity{name: name, group: u.Gid}
	if g, err := user.LookupGroupId(u.Gid); err == nil {
		id.group = g.Name
	}
	id.uid, _ = strconv.Atoi(u.Uid)
	groups, _ := u.GroupIds()
	for _, g := range append(groups, u.Gid) {
		n, _ := strconv.Atoi(g)
		id.gids = append(id.gids, n)
	}
	return id
}

// barrier returns what keeps the user from the rights (4 read, 2 write) to a file: the file itself, or a folder above
// it that he may not enter; "" when nothing does. What can't be looked at is none.
func (id *identity) barrier(path string, rights fs.FileMode) string {
	if !id.may(path, rights) {
		return path
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if !id.may(dir, 0o1) {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

func (id *identity) may(path string, rights fs.FileMode) bool {
	info, err := os.Stat(path)
	if err != nil || id.uid == 0 {
		return true
	}
	owner, mode := info.Sys().(*syscall.Stat_t), info.Mode().Perm()
	switch {
	case int(owner.Uid) == id.uid:
		return mode>>6&rights == rights
	case slices.Contains(id.gids, int(owner.Gid)):
		return mode>>3&rights == rights
	}
	return mode&rights == rights
}
