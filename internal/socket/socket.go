// Package socket opens the ports of our programs.
package socket

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// Listen opens host:port of a network like "tcp", or with network "unix" a socket in the file system, which gets mode
// and group (empty: that of the process). A socket that a killed program left is replaced; what answers, or is no
// socket, stays.
func Listen(network, address string, mode os.FileMode, group string) (net.Listener, error) {
	if network != "unix" {
		l, err := net.Listen(network, address)
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("another daemon answers at this address, or another program, which ss -ltnp names: %w", err)
		}
		return l, err
	}
	if err := removeStale(address); err != nil {
		return nil, err
	}
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	if err := open(address, mode, group); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// removeStale removes what a killed daemon left, and nothing that answers or is not a socket.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("%s exists, but is not a socket", path)
	}
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return fmt.Errorf("another daemon answers at %s", path)
	}
	return os.Remove(path)
}

// open gives others their rights on a unix socket.
func open(path string, mode os.FileMode, name string) error {
	if name != "" {
		group, err := user.LookupGroup(name)
		if err != nil {
			return fmt.Errorf("socket_group: %w", err)
		}
		gid, err := strconv.Atoi(group.Gid)
		if err != nil {
			return fmt.Errorf("socket_group: %w", err)
		}
		if err := os.Chown(path, -1, gid); err != nil {
			return fmt.Errorf("socket_group: %w", err)
		}
	}
	return os.Chmod(path, mode)
}
