package holdstore

import (
	"sync"
	"sync/atomic"
)

// room is made in a full store, by one caller at a time.
type room struct {
	making sync.Mutex
	made   atomic.Int64 // how often there was some
}
