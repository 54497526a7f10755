package web

import "time"

// BeQuick lets slow clients have less time and fewer connections.
func (s *Server) BeQuick(read, write time.Duration, connections int) {
	s.bounds = bounds{read, write, connections}
}

func init() {
	streamPause, streamProof = 50*time.Millisecond, 100*time.Millisecond
	trailLooked = 50
}
