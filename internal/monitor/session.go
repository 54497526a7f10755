package monitor

// Session counts a connection of the MTA until end is called.
func (m *Metrics) Session() (end func()) {
	m.accepted.Inc()
	m.sessions.Inc()
	return m.sessions.Dec
}
