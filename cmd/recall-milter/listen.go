package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"github.com/recall-milter/recall-milter/internal/config"
)

// listen opens every listen address, or none.
func (d *daemon) listen() ([]net.Listener, error) {
	var all []net.Listener
	for _, spec := range d.config.Listen {
		l, err := d.listenAt(spec)
		if err != nil {
			for _, open := range all {
				open.Close()
			}
			return nil, fmt.Errorf("listen %q: %w", spec, err)
		}
		all = append(all, l)
	}
	return all, nil
}

func (d *daemon) listenAt(spec string) (net.Listener, error) {
	network, address, err := config.ParseListen(spec)
	if err != nil {
		return nil, err
	}
	if network != "unix" {
		l, err := net.Listen(network, address)
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("another daemon answers at this address, or another program, which ss -ltnp names: %w", err)
		}
		return l, err
	}
	if err := removeStaleSocket(address); err != nil {
		return nil, err
	}
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	if err := d.open(address); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// removeStaleSocket removes what a killed daemon left, and nothing that answers or is no socket.
func removeStaleSocket(path string) error {
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

// open gives the MTA its rights on a unix socket.
func (d *daemon) open(path string) error {
	if name := d.config.SocketGroup; name != "" {
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
	return os.Chmod(path, os.FileMode(d.config.SocketMode))
}

// listenHTTP opens the port for monitoring; nil when the config wants none.
func (d *daemon) listenHTTP() (net.Listener, error) {
	if d.config.HTTP.Listen == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", d.config.HTTP.Listen)
	if err != nil {
		return nil, fmt.Errorf("http.listen: %w", err)
	}
	return l, nil
}
