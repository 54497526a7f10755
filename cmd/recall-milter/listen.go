package main

import (
	"fmt"
	"net"
	"os"

	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/socket"
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
	return socket.Listen(network, address, os.FileMode(d.config.SocketMode), d.config.SocketGroup)
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
