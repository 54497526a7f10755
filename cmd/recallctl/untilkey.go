package main

import (
	"context"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// untilKey returns a context that ends when somebody types q. On a terminal, keys are then read one at a time, without
// echo, until restore is called. The reader of keys ends with the program: a read from a terminal can't be interrupted.
func untilKey(ctx context.Context, stdin io.Reader) (until context.Context, restore func()) {
	until, cancel := context.WithCancel(ctx)
	file, ok := stdin.(*os.File)
	if !ok {
		return until, cancel
	}
	was, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	if err != nil {
		return until, cancel // no terminal
	}
	keys := *was
	keys.Lflag &^= unix.ICANON | unix.ECHO
	keys.Cc[unix.VMIN], keys.Cc[unix.VTIME] = 1, 0
	if unix.IoctlSetTermios(int(file.Fd()), unix.TCSETS, &keys) != nil {
		return until, cancel
	}
	go func() {
		key := make([]byte, 1)
		for {
			if n, err := file.Read(key); err != nil || n == 1 && (key[0] == 'q' || key[0] == 'Q') {
				cancel()
				return
			}
		}
	}()
	return until, func() {
		cancel()
		_ = unix.IoctlSetTermios(int(file.Fd()), unix.TCSETS, was)
	}
}
