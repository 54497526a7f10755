package main

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/recall-milter/recall-milter/holdstore"
)

// fix is the end of a line about an error: what to do. Most errors of the store say it themselves.
func (c *ctl) fix(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "\nroot may use recallctl, and members of the group recall-milter: use sudo, or usermod -a -G " +
			"recall-milter YOU and log in again"
	case errors.Is(err, holdstore.ErrPartial), c.config == nil:
		return ""
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT) && errors.Is(err, holdstore.ErrUnavailable):
		return "\nno Redis listens at redis.addresses of " + c.file +
			": start it, or correct the address. What is held is safe on its disk"
	case errors.Is(err, holdstore.ErrUnavailable) && isTimeout(err):
		return "\nthe Redis at redis.addresses of " + c.file +
			" does not answer: restart it if it hangs. What is held is safe on its disk"
	}
	return ""
}

func isTimeout(err error) bool {
	var slow interface{ Timeout() bool }
	return errors.As(err, &slow) && slow.Timeout()
}
