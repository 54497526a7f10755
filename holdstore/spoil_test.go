package holdstore

// In all tests of this package, memory of pieces is overwritten when it is given back: whatever still reads or writes
// it damages a message, or races.
func init() {
	spoil = func(b []byte) {
		for i := range b {
			b[i] = 0xAA
		}
	}
}
