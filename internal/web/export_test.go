package web

import "time"

func init() {
	streamPause, streamProof = 50*time.Millisecond, 100*time.Millisecond
	trailLooked = 50
}
