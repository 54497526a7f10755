//go:build !linux

package wire

import "net"

// prompt reads as any connection does: only Linux lets a reader ask for prompt acknowledgements.
type prompt struct{ net.Conn }
