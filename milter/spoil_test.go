package milter

import "github.com/recall-milter/recall-milter/milter/internal/wire"

// In all tests of this package, a frame is overwritten before the next one is read: whatever keeps a part of it without
// a copy shows.
func init() {
	wire.Spoil = func(b []byte) {
		for i := range b {
			b[i] = 0xAA
		}
	}
}
