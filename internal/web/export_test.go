package web

import "time"

// BeQuick lets slow clients have less time and fewer connections.
func (s *Server) BeQuick(read, write time.Duration, connections int) {
	s.bounds = bounds{read, write, connections}
}

// LetClients lets each client have so many connections, and so many requests, at a time.
func (s *Server) LetClients(connections, requests int) {
	s.connections.each, s.requests.each = connections, requests
}

func init() {
	streamPause, streamProof = 50*time.Millisecond, 100*time.Millisecond
	trailLooked = 50
}
