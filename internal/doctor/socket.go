package doctor

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/recall-milter/recall-milter/internal/hint"
	"github.com/recall-milter/recall-milter/internal/postfix"
)

// socket looks whether a service of Postfix can open the daemon's unix socket.
func (s *Site) socket(service *postfix.Service, m postfix.Milter, r report) {
	path := service.Socket(m.Address)
	if path == "" {
		return
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return // the daemon's own checks say that nobody answers
	}
	who := account(service.Get("mail_owner"))
	if who == nil {
		return
	}
	at := who.barrier(path, 0o2)
	if at == "" {
		return
	}
	fix := "chgrp " + who.group + " " + hint.Quoted(at) + " && chmod g+rw " + hint.Quoted(at) +
		" # for good: socket_group = \"" +
		who.group + "\" in " + s.File
	if at != path {
		fix = "chgrp " + who.group + " " + hint.Quoted(at) + " && chmod g+x " + hint.Quoted(at)
	}
	r.bad("postfix.socket", fix, "%s: Postfix's user %s may not open the daemon's socket %s: %s stops it", service,
		who.name, path, at)
}

// outside says that a milter's socket is named by a path that a chrooted service can't see.
func (s *Site) outside(service *postfix.Service, list string) bool {
	for _, m := range postfix.Milters(service.Get(list)) {
		for _, at := range s.Listening() {
			if _, path, _ := strings.Cut(m.Address, ":"); at.Network == "unix" && service.Chroot &&
				filepath.Clean(path) == filepath.Clean(at.Address) {
				return true
			}
		}
	}
	return false
}

// chroot says so.
func (s *Site) chroot(service *postfix.Service, r report) {
	queue := service.Get("queue_directory")
	r.bad("postfix.chroot",
		byHand+"where the daemon listens is your decision: write listen = [\"inet:8890@127.0.0.1\"], or a socket below "+
			queue+", into "+s.File+", then: systemctl restart recall-milter && recallctl setup --apply --reload",
		"%s is chrooted to %s and can't see the daemon's socket: clients hear what milter_default_action says", service,
		queue)
}
